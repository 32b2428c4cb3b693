"""HTML pages from templates: one base for all, every value escaped."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_BASE: Final = Path(__file__).with_name("templates")


def render_page(template: Path, **values: object) -> str:
    """Fill in a template, which extends `base.html` and may include files next to it.

    Args:
        template: A jinja2 template.
        values: By the names that the template uses; all text is escaped unless the template marks
            it as `safe`.

    Raises:
        jinja2.TemplateError: The template is missing, malformed or names an unknown value.
        ValueError: A number in JSON is not finite.
    """
    return _environment(template.parent).get_template(template.name).render(values)


@lru_cache(maxsize=8)
def _environment(folder: Path) -> Environment:
    """Templates of a folder and the base."""
    environment = Environment(
        loader=FileSystemLoader([folder, _BASE]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return environment

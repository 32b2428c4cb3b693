"""Attributes and groups of studies in a link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

from core.evaluation.tables.attributes import Condition

EVERY: Final = "all"
"""Stands for all attributes."""
MOST_CONDITIONS: Final = 2
_KEY: Final = re.compile(r"[a-z0-9_.]{1,40}")


def write_conditions(conditions: Sequence[Condition]) -> str:
    """Conditions as attribute*group, with commas between them; groups are percent-encoded."""
    return ",".join(f"{one.attribute}*{quote(one.group, safe='')}" for one in conditions)


def read_conditions(text: str) -> tuple[Condition, ...] | None:
    """Conditions from a link; None for a wrong value."""
    found: list[Condition] = []
    for part in text.split(","):
        key, separator, group = part.partition("*")
        if not separator or not _KEY.fullmatch(key) or not group:
            return None
        found.append(Condition(key, unquote(group)))
    keys = {one.attribute for one in found}
    return tuple(found) if len(keys) == len(found) <= MOST_CONDITIONS else None


def read_keys(text: str) -> tuple[str, ...] | None:
    """Keys of attributes from a link; None for a wrong value."""
    found = tuple(dict.fromkeys(part for part in text.split(",") if part))
    return found if found and all(_KEY.fullmatch(key) for key in found) else None

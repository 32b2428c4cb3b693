"""Parts of a page that the browser rewrites while a threshold is moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Final, cast

import streamlit as st

from dashboard.widgets.threshold_slider.slider import STEPS, script

_KEY: Final = "live_parts_"


@dataclass(frozen=True, slots=True)
class Either:
    """One of two pieces of HTML: a score reaches the threshold, or it does not.

    Attributes:
        follows: Name of the threshold.
        selector: CSS selector of the element that holds the piece.
        score: The score; one equal to the threshold reaches it.
        reached: HTML, for trusted text only.
        below: The same where the score is lower.
    """

    follows: str
    selector: str
    score: float
    reached: str
    below: str


@dataclass(frozen=True, slots=True)
class Tabled:
    """A text for every position of the slider.

    Attributes:
        follows: Name of the threshold.
        selector: CSS selector of the element whose first text it is.
        texts: At each of `POSITIONS`.
    """

    follows: str
    selector: str
    texts: Sequence[str]


def live_parts(key: str, parts: Sequence[Either | Tabled]) -> None:
    """Rewrite parts of the page in the browser while their thresholds are moved.

    Elements with `at_threshold` and `tick_at` follow as well.

    Args:
        key: Key of the widget, unique on the page.
        parts: What follows; Python draws it at the current threshold.
    """
    _mount_parts()(
        key=f"{_KEY}{key}", data={"steps": STEPS, "parts": [asdict(part) for part in parts]}
    )


def live_part(name: str, html: str) -> str:
    """HTML whose content `live_selector(name)` selects."""
    return f'<span class="lab-live" data-live="{escape(name)}">{html}</span>'


def live_selector(name: str) -> str:
    """CSS selector of `live_part(name)`."""
    return f'[data-live="{name}"]'


def at_threshold(name: str, value: float) -> str:
    """HTML of a threshold with three decimals."""
    return f'<span data-live="at:{escape(name)}">{value:.3f}</span>'


def tick_at(name: str, value: float) -> str:
    """HTML attributes of an element that stands at a threshold of a bar from 0 to 1."""
    return f'data-live="tick:{escape(name)}" style="left:{100 * value:.1f}%"'


@st.cache_resource(show_spinner=False)
def _mount_parts() -> Any:  # noqa: ANN401 - Streamlit's mounting command has no public type
    return cast(Any, st.components).v2.component(
        "cspine_live_parts",
        html='<span class="parts" hidden></span>',
        js=script("moved.js", "parts.js"),
    )

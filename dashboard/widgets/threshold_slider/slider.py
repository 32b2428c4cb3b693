"""One threshold slider, whose moves the browser hands to what follows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import streamlit as st

from core.types import FloatArray
from dashboard.session import state

STEPS: Final = 1000
"""Steps of a slider from 0 to 1."""
POSITIONS: Final[FloatArray] = np.arange(STEPS + 1) / STEPS
"""Thresholds that a slider can stand at, rising."""
_FRONTEND: Final = Path(__file__).resolve().parent / "frontend"


def script(*names: str) -> str:
    """JavaScript of the sliders, to stand before a component's own; files by name."""
    return "\n".join((_FRONTEND / name).read_text(encoding="utf-8") for name in names)


def slider_style() -> str:
    """Style sheet of the sliders."""
    return (_FRONTEND / "sliders.css").read_text(encoding="utf-8")


def threshold_slider(
    label: str, *, name: str, value: float, on_release: Callable[[float], None],
    source: str = "", help: str = "",
) -> None:  # fmt: skip
    """Draw a slider from 0 to 1; while it is dragged, the server hears nothing.

    Slice viewers whose boxes follow `name` and the parts of `live_parts` are redrawn in the
    browser.

    Args:
        label: Label, as plain text.
        name: Name of the threshold, unique on the page.
        value: Where Python has it now.
        on_release: Called with the threshold once the user lets the slider go.
        source: What the threshold belongs to; another one takes `value` in any case.
        help: Tooltip.
    """
    key = slider_key(name)
    _mount_slider()(
        key=key,
        data={
            "name": name, "source": source, "labels": [label], "help": help, "values": [value],
            "steps": STEPS, "serial": moved(key).get("serial", 0),
        },
        default={"moved": {}},
        on_moved_change=lambda: _released(key, on_release),
    )  # fmt: skip


def slider_key(name: str) -> str:
    """Key of the widget that moves a threshold."""
    return f"slider_{name}"


def moved(key: str) -> Mapping[str, Any]:
    """What the browser has last reported for the sliders of this key."""
    return (state.recall(key) or {}).get("moved") or {}


def are_thresholds(values: object) -> bool:
    """Whether these are numbers from 0 to 1: a browser may report anything."""
    return isinstance(values, list) and all(
        isinstance(one, int | float) and 0.0 <= one <= 1.0 for one in values
    )


def _released(key: str, on_release: Callable[[float], None]) -> None:
    value = moved(key).get("value")
    if are_thresholds([value]):
        on_release(float(cast(float, value)))


@st.cache_resource(show_spinner=False)
def _mount_slider() -> Any:  # noqa: ANN401 - Streamlit's mounting command has no public type
    return cast(Any, st.components).v2.component(
        "cspine_threshold_slider",
        html='<section class="sliders"></section>',
        css=slider_style(),
        js=script("moved.js", "sliders.js", "slider.js"),
    )

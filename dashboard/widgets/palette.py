"""Colours of the pages' charts besides those of `core.visualization.colors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CURRENT: Final = "#10859A"
"""The current slice and the current selection."""

NEUTRAL: Final = "#7F909E"


def with_alpha(color: str, alpha: float) -> str:
    """Return `#RRGGBB` as `rgba(...)` with the opacity `alpha` in [0, 1]."""
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


@dataclass(frozen=True, slots=True)
class ModelStyle:
    """Style of a model in all charts.

    Attributes:
        color: `#RRGGBB`.
        dash: Plotly's dash of its lines, in addition to the colour.
        symbol: Plotly's symbol of its operating point.
    """

    color: str
    dash: str
    symbol: str


MODEL_COLORS: Final = ("#1E78B4", "#B44B0F", "#879600", "#965A78", "#1E87FF", "#B47878")
"""Found by search like those of the vertebrae: 3:1 on both backgrounds, distinguishable."""

ENSEMBLE_STYLE: Final = ModelStyle("#D830D8", "longdash", "star")
"""Of the ensemble of the models on show, whatever their number."""

WEAK: Final = MODEL_COLORS[1]
"""A group of studies with more errors than the others, by more than chance."""

_DASHES: Final = ("solid", "dash", "dot", "dashdot")
_SYMBOLS: Final = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")


def model_styles(names: Sequence[str]) -> dict[str, ModelStyle]:
    """Styles of all known models, so that each looks the same on every page.

    Args:
        names: All models of the installation in a fixed order, not only those on show.
    """
    styles: dict[str, ModelStyle] = {}
    for number, name in enumerate(names):
        turn, slot = divmod(number, len(MODEL_COLORS))
        dash = _DASHES[turn % len(_DASHES)]
        styles[name] = ModelStyle(MODEL_COLORS[slot], dash, _SYMBOLS[slot])
    return styles

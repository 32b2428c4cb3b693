"""Markers and lines over a chart that move with a threshold, without redrawing the chart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final

from dashboard.widgets.plot_area import PlotArea

_SHAPES: Final = {
    "circle": '<circle cx="9" cy="9" r="6.2"/>',
    "square": '<rect x="3.2" y="3.2" width="11.6" height="11.6"/>',
    "diamond": '<path d="M9 1.6 16.4 9 9 16.4 1.6 9Z"/>',
    "triangle-up": '<path d="M9 2 16.2 15H1.8Z"/>',
    "pentagon": '<path d="M9 1.8 16.4 7.2 13.6 15.8H4.4L1.6 7.2Z"/>',
    "star": '<path d="M9 1 11.3 6.4 17 7 12.7 10.8 14 16.6 9 13.5 4 16.6 5.3 10.8 1 7 6.7 6.4Z"/>',
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A marker in the plot area.

    Attributes:
        x: 0 at the left, 1 at the right edge.
        y: 0 at the lower, 1 at the upper edge.
        color: `#RRGGBB`.
        symbol: One of Plotly's names that `ModelStyle` uses.
        label: Tooltip.
        live: What the threshold board moves it by, in the browser; "" if it does not.
    """

    x: float
    y: float
    color: str
    symbol: str = "circle"
    label: str = ""
    live: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A vertical line through the plot area.

    Attributes:
        x: 0 at the left, 1 at the right edge.
        color: `#RRGGBB`.
        label: Text at the top; "" for none.
        bottom: Lower end, 0 at the lower edge.
        top: Upper end, 1 at the upper edge.
        live: As for `Mark`.
    """

    x: float
    color: str
    label: str = ""
    bottom: float = 0.0
    top: float = 1.0
    live: str = ""


def overlay(area: PlotArea, marks: Iterable[Mark] = (), lines: Iterable[Line] = ()) -> str:
    """HTML of the layer over one chart.

    Args:
        area: Plot area of the chart.
        marks: Markers.
        lines: Vertical lines, drawn below the markers.
    """
    parts = [_line(line) for line in lines] + [_mark(mark) for mark in marks]
    return f'<div class="lab-layer-over" style="inset:{area.inset}">{"".join(parts)}</div>'


def symbol_svg(symbol: str, color: str, size: int = 14) -> str:
    """A marker as inline SVG, for tables and legends."""
    return (
        f'<svg class="lab-symbol" viewBox="0 0 18 18" width="{size}" height="{size}" '
        f'aria-hidden="true" fill="{color}">{_SHAPES[symbol]}</svg>'
    )


def live(field: str, html: str, tag: str = "span") -> str:
    """HTML that the threshold board rewrites in the browser while a threshold is moved."""
    return f"<{tag}{_live(field)}>{html}</{tag}>"


def _live(field: str) -> str:
    return f' data-live="{escape(field)}"' if field else ""


def _mark(mark: Mark) -> str:
    at = f"left:{_percent(mark.x)};bottom:{_percent(mark.y)}"
    return (
        f'<span class="lab-mark"{_live(mark.live)} style="{at}" title="{escape(mark.label)}">'
        f"{symbol_svg(mark.symbol, mark.color, 18)}</span>"
    )


def _line(line: Line) -> str:
    label = f"<b>{escape(line.label)}</b>" if line.label else ""
    side = " lab-line-left" if line.x > 0.8 else ""
    return (
        f'<span class="lab-line-over{side}"{_live(line.live)} style="left:{_percent(line.x)};'
        f"bottom:{_percent(line.bottom)};top:{_percent(1 - line.top)};"
        f'border-color:{line.color};color:{line.color}">{label}</span>'
    )


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.3f}%"

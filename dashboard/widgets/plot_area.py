"""Common frame of the charts: a plot area with a fixed position on screen.

If a threshold moved, Plotly would draw thousands of points again, which is too slow. So curves are
drawn once, and a thin layer of HTML (`overlay.py`) shows what moves. That needs fixed margins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go


@dataclass(frozen=True, slots=True)
class PlotArea:
    """Height and margins of a chart in pixels.

    Attributes:
        height: Height of the whole chart.
        left: Margin for the y axis.
        right: Right margin.
        top: Top margin.
        bottom: Margin for the x axis.
    """

    height: int
    left: int = 58
    right: int = 14
    top: int = 12
    bottom: int = 52

    @property
    def inset(self) -> str:
        """CSS `inset` of the plot area within the chart."""
        return f"{self.top}px {self.right}px {self.bottom}px {self.left}px"


WIDE: Final = PlotArea(height=400)
LOW: Final = PlotArea(height=300)
GRID: Final = PlotArea(height=400, left=40, top=24, bottom=40)

CONFIG: Final = {"displayModeBar": False, "scrollZoom": False}
"""For `st.plotly_chart`: no zoom, or the layer would no longer fit."""

_HALO: Final = "rgba(127,144,158,0.28)"


def lay_out(figure: go.Figure, area: PlotArea) -> go.Figure:
    """Give a figure its fixed margins and the style of the page; return it."""
    figure.update_layout(
        height=area.height,
        margin={
            "l": area.left, "r": area.right, "t": area.top, "b": area.bottom,
            "pad": 0, "autoexpand": False,
        },
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision="steady",
    )  # fmt: skip
    figure.update_xaxes(automargin=False, fixedrange=True, zeroline=False, gridcolor=_HALO)
    figure.update_yaxes(automargin=False, fixedrange=True, zeroline=False, gridcolor=_HALO)
    return figure

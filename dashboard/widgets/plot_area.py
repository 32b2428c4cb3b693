"""Common frame of the charts: a plot area with a fixed position on screen.

If a threshold moved, Plotly would draw thousands of points again, which is too slow. So curves are
drawn once, and a thin layer of HTML (`overlay.py`) shows what moves. That needs fixed margins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st


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


WIDE: Final = PlotArea(height=364)
LOW: Final = PlotArea(height=300)
GRID: Final = PlotArea(height=400, left=40, top=24, bottom=40)

CONFIG: Final = {"displayModeBar": False, "scrollZoom": False}
"""For `st.plotly_chart`: no zoom, or the layer would no longer fit."""

_HALO: Final = "rgba(127,144,158,0.28)"


def style_chart(figure: go.Figure, height: int, *, top: int = 8, zoom: bool = False) -> go.Figure:
    """Give a figure the style of the page, with margins that fit its labels; return it.

    Args:
        figure: Any chart.
        height: Height of the whole chart in pixels.
        top: Top margin in pixels.
        zoom: Whether a drag zooms.
    """
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": top, "b": 8},
        showlegend=False,
        dragmode="zoom" if zoom else False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision="steady",
    )
    figure.update_xaxes(fixedrange=not zoom, zeroline=False)
    figure.update_yaxes(fixedrange=not zoom, zeroline=False)
    return figure


def lay_out(figure: go.Figure, area: PlotArea) -> go.Figure:
    """Give a figure fixed margins and the style of the page; return it."""
    style_chart(figure, area.height)
    figure.update_layout(
        margin={
            "l": area.left, "r": area.right, "t": area.top, "b": area.bottom,
            "pad": 0, "autoexpand": False,
        },
    )  # fmt: skip
    figure.update_xaxes(automargin=False, gridcolor=_HALO)
    figure.update_yaxes(automargin=False, gridcolor=_HALO)
    return figure


def show_chart(figure: go.Figure, key: str, alt: str, **options: Any) -> None:  # noqa: ANN401
    """Draw a chart without Plotly's tool bar.

    Args:
        figure: The chart.
        key: Key of the widget.
        alt: What the chart shows, for screen readers.
        options: Further options of `st.plotly_chart`.
    """
    st.plotly_chart(figure, key=key, alt=alt, config=CONFIG, **options)

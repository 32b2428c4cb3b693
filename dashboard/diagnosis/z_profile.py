"""Fracture probability along z, drawn upright with the head on top, beside C1..C7's extents."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from dashboard.widgets.palette import CURRENT, SUSPICION, VERTEBRA_COLORS, with_alpha

HEIGHT: Final = 560
_LANES: Final = 2
"""Neighbouring vertebrae overlap in z, so they alternate between two lanes."""


_ROOM_FOR_TAG: Final = 1.22
"""The probability axis goes on past 1, so that the current slice's number hides no point."""


def z_profile_figure(reading: StudyScores, current: int) -> go.Figure:
    """Draw p_i along z in mm, where each vertebra was seen, and the current slice.

    Args:
        reading: The study.
        current: Index of the slice on show.
    """
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, column_widths=[0.32, 0.68], horizontal_spacing=0.03
    )
    for j, name in enumerate(VERTEBRAE):
        _add_extent(figure, reading, j, name)
    _add_profile(figure, reading)
    _add_current(figure, float(reading.z_mm[current]), current)
    _lay_out(figure, reading)
    return figure


def _add_extent(figure: go.Figure, reading: StudyScores, j: int, name: str) -> None:
    """A bar from the first to the last slice that shows a vertebra, half a slice beyond each."""
    span = reading.ranges[j]
    if span is None:
        return
    top, bottom = (float(reading.z_mm[i]) for i in span)
    half = _half_slice(reading)
    lane = j % _LANES
    figure.add_trace(
        go.Scatter(
            x=[lane - 0.4, lane + 0.4, lane + 0.4, lane - 0.4, lane - 0.4],
            y=[bottom - half, bottom - half, top + half, top + half, bottom - half],
            mode="lines",
            fill="toself",
            fillcolor=with_alpha(VERTEBRA_COLORS[name], 0.9),
            line={"width": 0},
            hoveron="fills",
            hoverinfo="text",
            text=f"{name}: slices {span[0]}–{span[1]}, z {top:.1f} to {bottom:.1f} mm",
            name=name,
        ),
        row=1,
        col=1,
    )
    figure.add_annotation(
        x=lane,
        y=(top + bottom) / 2,
        text=f"<b>{name}</b>",
        showarrow=False,
        font={"size": 11, "color": "#FFFFFF"},
        row=1,
        col=1,
    )


def _add_profile(figure: go.Figure, reading: StudyScores) -> None:
    """p_i as a line with a point on every slice, which a click can select."""
    probs = np.where(reading.patient.slice_seen, reading.patient.slice_probs, np.nan)
    figure.add_trace(
        go.Scatter(
            x=probs,
            y=reading.z_mm,
            customdata=np.arange(len(probs)),
            mode="lines+markers",
            line={"color": SUSPICION, "width": 2},
            marker={"color": SUSPICION, "size": 5},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            fill="tozerox",
            fillcolor=with_alpha(SUSPICION, 0.14),
            hovertemplate="slice %{customdata}<br>z %{y:.1f} mm<br>p %{x:.3f}<extra></extra>",
            name="p_i",
        ),
        row=1,
        col=2,
    )


def _add_current(figure: go.Figure, z_mm: float, current: int) -> None:
    figure.add_shape(
        type="line",
        xref="paper",
        x0=0,
        x1=1,
        yref="y",
        y0=z_mm,
        y1=z_mm,
        line={"color": CURRENT, "width": 2},
        name="current slice",
    )
    figure.add_annotation(
        xref="paper",
        x=1,
        xanchor="right",
        yref="y",
        y=z_mm,
        text=f"<b>{current}</b>",
        showarrow=False,
        bgcolor=CURRENT,
        borderpad=3,
        font={"color": "#FFFFFF", "size": 12},
    )


def _lay_out(figure: go.Figure, reading: StudyScores) -> None:
    half = _half_slice(reading)
    low, high = float(reading.z_mm.min()) - half, float(reading.z_mm.max()) + half
    room = 0.03 * (high - low)
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uirevision="steady",
    )
    figure.update_yaxes(range=[low - room, high + room], zeroline=False, fixedrange=True)
    figure.update_yaxes(title="z position (mm), head on top", col=1)
    figure.update_xaxes(
        range=[-0.6, _LANES - 0.4], visible=False, fixedrange=True, zeroline=False, col=1
    )
    figure.update_xaxes(
        title="Fracture probability",
        range=[0, _ROOM_FOR_TAG],
        tickvals=[0, 0.5, 1],
        ticktext=["0", "0.5", "1"],
        fixedrange=True,
        zeroline=False,
        col=2,
    )


def _half_slice(reading: StudyScores) -> float:
    if len(reading.z_mm) < 2:
        return 0.5
    return float(np.median(np.abs(np.diff(reading.z_mm)))) / 2

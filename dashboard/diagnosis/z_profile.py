"""Chart of the fracture probability along z, head on top, next to the extents of C1–C7."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.visualization.colors import SUSPICION, VERTEBRA_COLORS
from dashboard.widgets.palette import CURRENT, with_alpha
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 560
_LANES: Final = 2
"""Neighbouring vertebrae overlap in z, so they alternate between two lanes."""
_ROOM_FOR_TAG: Final = 1.22
"""End of the probability axis: beyond 1, so that the current slice's number hides no point."""


def z_profile_figure(scores: StudyScores, current: int) -> go.Figure:
    """Draw p_i along z in mm, the extent of each vertebra, and the current slice.

    Args:
        scores: Scores of the study.
        current: Index of the slice on show.
    """
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, column_widths=[0.32, 0.68], horizontal_spacing=0.03
    )
    for j, name in enumerate(VERTEBRAE):
        _add_extent(figure, scores, j, name)
    _add_profile(figure, scores)
    _add_current(figure, float(scores.z_mm[current]), current)
    _lay_out(figure, scores)
    return figure


def _add_extent(figure: go.Figure, scores: StudyScores, j: int, name: str) -> None:
    """Add a bar from the first to the last slice of a vertebra, extended by half a slice."""
    span = scores.ranges[j]
    if span is None:
        return
    top, bottom = (float(scores.z_mm[i]) for i in span)
    half = _half_slice(scores)
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


def _add_profile(figure: go.Figure, scores: StudyScores) -> None:
    """Add p_i as a line with a point on every slice."""
    probs = np.where(scores.patient.slice_seen, scores.patient.slice_probs, np.nan)
    figure.add_trace(
        go.Scatter(
            x=probs,
            y=scores.z_mm,
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


def _lay_out(figure: go.Figure, scores: StudyScores) -> None:
    half = _half_slice(scores)
    low, high = float(scores.z_mm.min()) - half, float(scores.z_mm.max()) + half
    room = 0.03 * (high - low)
    style_chart(figure, HEIGHT)
    figure.update_yaxes(range=[low - room, high + room])
    figure.update_yaxes(title="z position (mm), head on top", col=1)
    figure.update_xaxes(range=[-0.6, _LANES - 0.4], visible=False, col=1)
    figure.update_xaxes(
        title="Fracture probability",
        range=[0, _ROOM_FOR_TAG],
        tickvals=[0, 0.5, 1],
        ticktext=["0", "0.5", "1"],
        col=2,
    )


def _half_slice(scores: StudyScores) -> float:
    if len(scores.z_mm) < 2:
        return 0.5
    return float(np.median(np.abs(np.diff(scores.z_mm)))) / 2

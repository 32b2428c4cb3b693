"""Charts of one run: scores after an epoch, and the use of the machine."""

from __future__ import annotations

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from core.training.epoch_scores import EpochScores
from core.training.run_curves import positions
from dashboard.widgets.palette import CURRENT, MODEL_COLORS, with_alpha
from dashboard.widgets.plot_area import style_chart

_SHARES: Final = {
    "cpu_share": "processor",
    "memory_share": "memory",
    "gpu_share": "GPU",
    "gpu_memory_share": "GPU memory",
}
"""Columns drawn as shares, with their names."""


def score_figure(scores: EpochScores, threshold: float) -> go.Figure:
    """Draw the share of negatives and of positives in each bin, and the threshold.

    Args:
        scores: Scores after an epoch.
        threshold: In [0, 1].
    """
    width = 1 / len(scores.negatives)
    figure = go.Figure()
    for name, counts, color in (
        ("negative", scores.negatives, MODEL_COLORS[5]), ("positive", scores.positives, CURRENT),
    ):  # fmt: skip
        figure.add_trace(
            go.Bar(
                x=scores.edges[:-1] + width / 2, y=counts / max(int(counts.sum()), 1), width=width,
                name=name, customdata=counts, marker={"color": with_alpha(color, 0.6)},
                hovertemplate=f"%{{customdata:,}} {name} scores, %{{y:.1%}} of them, "
                "near %{x:.2f}<extra></extra>",
            )
        )  # fmt: skip
    figure.add_vline(threshold, line={"width": 2, "dash": "dot", "color": CURRENT})
    style_chart(figure, 260, zoom=False)
    figure.update_layout(
        barmode="overlay", bargap=0, showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(title="score", range=[0, 1])
    figure.update_yaxes(title="share of its class", tickformat=".0%", rangemode="tozero")
    return figure


def resource_figure(resources: pd.DataFrame) -> go.Figure | None:
    """Draw the use of processor, memory and GPU over time; None if nothing was sampled.

    Args:
        resources: Lines of "resources".
    """
    if resources.empty or "time" not in resources:
        return None
    hours = positions(resources, "hours", None)
    figure = go.Figure()
    for number, (column, name) in enumerate(_SHARES.items()):
        if column in resources and not resources[column].dropna().empty:
            figure.add_trace(
                go.Scatter(
                    x=hours, y=resources[column].astype(float), name=name, mode="lines",
                    line={"color": MODEL_COLORS[number], "width": 2},
                    hovertemplate=f"{name} %{{y:.0%}} after %{{x:.2f}} h<extra></extra>",
                )
            )  # fmt: skip
    style_chart(figure, 220, zoom=True)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
    figure.update_xaxes(title="hours since the start", rangemode="tozero")
    figure.update_yaxes(title="in use", tickformat=".0%", range=[0, 1.02])
    return figure

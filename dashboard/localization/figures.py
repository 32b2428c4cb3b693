"""Charts of the Localization page: overlap, free-response curve, results by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from core.evaluation.detection.groups import BoxGroup
from core.evaluation.detection.report import DetectionReport
from core.visualization.colors import MEASURE_COLOR, VERTEBRA_COLORS
from dashboard.widgets.palette import CURRENT, NEUTRAL, with_alpha
from dashboard.widgets.plot_area import LOW, lay_out

_BINS: Final = np.linspace(0.0, 1.0, 21)


def iou_histogram(report: DetectionReport) -> go.Figure:
    """Histogram of the IoU with the true box from the minimum score, in bins of 0.05.

    Args:
        report: Held-out measures.
    """
    missed = report.counted_iou <= 0
    counts, _ = np.histogram(report.counted_iou[~missed], _BINS)
    figure = go.Figure(
        [
            go.Bar(
                x=[-0.04], y=[int(missed.sum())], width=0.04, marker_color=NEUTRAL,
                hovertemplate="%{y} boxes are not overlapped at all<extra></extra>",
            ),
            go.Bar(
                x=(_BINS[:-1] + _BINS[1:]) / 2, y=counts, width=0.046, marker_color=MEASURE_COLOR,
                hovertemplate="%{y} boxes overlap by about %{x:.2f}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    lay_out(figure, LOW)
    figure.add_vline(x=report.mean_counted_iou, line={"color": CURRENT, "width": 2})
    figure.add_annotation(
        x=report.mean_counted_iou, y=1, yref="paper", yanchor="top", xanchor="left",
        showarrow=False, text=f" mean {report.mean_counted_iou:.2f}", font={"color": CURRENT},
    )  # fmt: skip
    figure.update_xaxes(
        title="IoU with the true box, from the minimum score", range=[-0.08, 1.0],
        tickvals=[-0.04, 0.1, 0.3, 0.5, 0.7, 0.9],
        ticktext=["none", "0.1", "0.3", "0.5", "0.7", "0.9"],
    )  # fmt: skip
    figure.update_yaxes(title="True boxes")
    return figure


def froc_figure(report: DetectionReport) -> go.Figure:
    """FROC: sensitivity against false marks per study, for boxes and for whole fractures."""
    figure = go.Figure()
    for name, curve, color, dash in (
        ("boxes", report.froc_boxes, MEASURE_COLOR, "solid"),
        ("fractures", report.froc_fractures, CURRENT, "dash"),
    ):
        rate = np.clip(curve.false_per_study, 0.05, None)
        figure.add_trace(
            go.Scatter(
                x=rate, y=curve.sensitivity, mode="lines", name=name,
                line={"color": color, "width": 2, "dash": dash, "shape": "hv"},
                hovertemplate="%{y:.0%} of " + name + " found at %{x:.2f} false marks per study"
                "<extra></extra>",
            )
        )  # fmt: skip
    lay_out(figure, LOW)
    figure.update_layout(
        showlegend=True,
        # Above the plot: inside, it would cover one of the curves at any position.
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin={"t": 34},
    )
    figure.add_vline(x=1.0, line={"color": with_alpha(NEUTRAL, 0.7), "dash": "dot"})
    figure.update_xaxes(
        title="False marks per study (log scale)", type="log", range=[np.log10(0.05), np.log10(32)],
        tickvals=[0.05, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32],
        ticktext=["0", "⅛", "¼", "½", "1", "2", "4", "8", "16", "32"],
    )  # fmt: skip
    figure.update_yaxes(title="Share found", range=[0, 1.02])
    return figure


def group_figure(groups: Sequence[BoxGroup], title: str, rows: int) -> go.Figure:
    """Overlap at the minimum score by group, with the number of boxes.

    Args:
        groups: Groups, the most common first.
        title: What the groups are, for the axis title.
        rows: Rows to leave room for, so that charts side by side have the same height.
    """
    ordered = list(groups)[::-1]
    names = [group.name.replace("_", " ") for group in ordered]
    figure = go.Figure(
        go.Bar(
            x=[group.counted_iou for group in ordered], y=names, orientation="h",
            marker_color=[VERTEBRA_COLORS.get(group.name, MEASURE_COLOR) for group in ordered],
            text=[_counted(group) for group in ordered],
            textposition="outside", cliponaxis=False,
            hovertemplate="%{y}: %{text}, mean overlap %{x:.2f}<extra></extra>",
        )
    )  # fmt: skip
    lay_out(figure, LOW)
    figure.update_layout(height=30 * rows + 76, margin={"l": 118, "r": 12, "t": 8, "b": 52})
    # Without a grid: its lines would strike through the labels.
    figure.update_xaxes(
        title=f"Mean overlap (IoU) by {title}", range=[0, 1.62], showgrid=False,
        tickvals=[0, 0.25, 0.5, 0.75, 1],
    )  # fmt: skip
    figure.update_yaxes(showgrid=False, range=[len(ordered) - rows - 0.5, len(ordered) - 0.5])
    return figure


def _counted(group: BoxGroup) -> str:
    boxes = "box" if group.boxes == 1 else "boxes"
    return f"{group.boxes} {boxes}, {group.sensitivity:.0%} found"

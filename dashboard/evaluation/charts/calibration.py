"""Reliability curves: observed frequency against mean score."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from core.evaluation.calibration import Reliability
from dashboard.evaluation.charts.roc_pr import UNIT_AXIS, reference_line
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import ModelStyle
from dashboard.widgets.plot_area import LOW, lay_out


def calibration_figure(
    models: Mapping[str, Reliability], styles: Mapping[str, ModelStyle]
) -> go.Figure:
    """Draw the share of positives against the mean score of each bin; the diagonal is perfect.

    Args:
        models: Reliability by model.
        styles: Style by model.
    """
    figure = go.Figure(reference_line([0, 1], [0, 1]))
    for name, found in models.items():
        style = styles[name]
        figure.add_trace(
            go.Scatter(
                x=found.mean_score,
                y=found.positive_share,
                customdata=found.counts,
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1, "width": 0,
                    "array": found.interval[1] - found.positive_share,
                    "arrayminus": found.positive_share - found.interval[0],
                },
                mode="lines+markers",
                line={"color": style.color, "dash": style.dash, "width": 1.6},
                marker={"symbol": style.symbol, "size": 6, "color": style.color},
                hovertemplate=(
                    f"<b>{chart_text(name)}</b><br>mean score %{{x:.3f}}<br>share of positives "
                    "%{y:.3f}<br>%{customdata:,} items<extra></extra>"
                ),
            )
        )  # fmt: skip
    lay_out(figure, LOW)
    figure.update_xaxes(title="Mean score of the bin", **UNIT_AXIS)
    figure.update_yaxes(title="Share of positives", **UNIT_AXIS)
    return figure

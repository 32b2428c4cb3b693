"""Reliability curves: observed frequency against mean score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from core.evaluation.calibration import Reliability
from dashboard.evaluation.charts.roc_pr import reference_line
from dashboard.widgets.palette import ModelStyle
from dashboard.widgets.plot_area import LOW, lay_out


@dataclass(frozen=True, slots=True, eq=False)
class DrawnReliability:
    """One model's reliability and style.

    Attributes:
        name: Name on the page.
        style: Style of the model.
        reliability: Bins and calibration errors.
        faint: Whether to draw it faintly, in the background.
    """

    name: str
    style: ModelStyle
    reliability: Reliability
    faint: bool = False


def calibration_figure(models: Sequence[DrawnReliability]) -> go.Figure:
    """Draw the share of positives against the mean score of each bin; the diagonal is perfect."""
    figure = go.Figure(reference_line([0, 1], [0, 1]))
    for model in models:
        found = model.reliability
        figure.add_trace(
            go.Scatter(
                x=found.mean_score,
                y=found.positive_share,
                customdata=found.counts,
                error_y={
                    "type": "data", "symmetric": False, "thickness": 1, "width": 0,
                    "array": found.interval[1] - found.positive_share,
                    "arrayminus": found.positive_share - found.interval[0],
                    "visible": not model.faint,
                },
                mode="lines+markers",
                opacity=0.4 if model.faint else 1.0,
                line={"color": model.style.color, "dash": model.style.dash, "width": 1.6},
                marker={"symbol": model.style.symbol, "size": 6, "color": model.style.color},
                hovertemplate=(
                    f"<b>{model.name}</b><br>mean score %{{x:.3f}}<br>share of positives "
                    "%{y:.3f}<br>%{customdata:,} items<extra></extra>"
                ),
            )
        )  # fmt: skip
    lay_out(figure, LOW)
    figure.update_xaxes(title="Mean score of the bin", range=[0, 1], dtick=0.2, tickformat=".1f")
    figure.update_yaxes(title="Share of positives", range=[0, 1], dtick=0.2, tickformat=".1f")
    return figure

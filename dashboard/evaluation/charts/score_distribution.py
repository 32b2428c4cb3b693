"""Distribution of one model's scores, for positives and for negatives."""

from __future__ import annotations

import plotly.graph_objects as go

from core.evaluation.histogram import ScoreHistogram
from core.visualization.colors import POSITIVE_COLOR
from dashboard.evaluation.charts.roc_pr import UNIT_AXIS
from dashboard.widgets.palette import NEUTRAL, with_alpha
from dashboard.widgets.plot_area import LOW, lay_out


def distribution_figure(histogram: ScoreHistogram, positive: str, negative: str) -> go.Figure:
    """Draw the share of either class in each bin: positives upwards, negatives downwards.

    Args:
        histogram: Histogram of one model.
        positive: Name of the positives.
        negative: Name of the negatives.
    """
    centers = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    width = float(histogram.edges[1] - histogram.edges[0])
    figure = go.Figure()
    for name, share, counts, color, sign in (
        (positive, histogram.positive_share, histogram.positives, POSITIVE_COLOR, 1),
        (negative, histogram.negative_share, histogram.negatives, NEUTRAL, -1),
    ):
        figure.add_trace(
            go.Bar(
                x=centers,
                y=sign * share,
                width=width,
                customdata=counts,
                marker={"color": with_alpha(color, 0.8), "line": {"width": 0}},
                hovertemplate=f"score %{{x:.2f}}<br>%{{customdata:,}} {name}<extra></extra>",
            )
        )
    reach = 1.08 * max(histogram.positive_share.max(), histogram.negative_share.max(), 1e-9)
    lay_out(figure, LOW)
    figure.update_layout(barmode="relative", bargap=0)
    figure.update_xaxes(title="Score", **UNIT_AXIS)
    figure.update_yaxes(
        title="Share of the class", range=[-reach, reach],
        tickvals=[-reach / 1.08, 0, reach / 1.08],
        ticktext=[f"{reach / 1.08:.0%}", "0", f"{reach / 1.08:.0%}"], zeroline=True,
        zerolinecolor=NEUTRAL,
    )  # fmt: skip
    for name, place in ((positive, 1.0), (negative, 0.0)):
        figure.add_annotation(
            xref="paper", yref="paper", x=1, y=place, xanchor="right", showarrow=False, text=name,
            yanchor="top" if place else "bottom", font={"size": 11},
        )  # fmt: skip
    return figure

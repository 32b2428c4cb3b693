"""ROC and precision–recall curves of several models, with their bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.evaluation.bands import CurveBand
from core.evaluation.curves import ThresholdCounts
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import NEUTRAL, ModelStyle, with_alpha
from dashboard.widgets.plot_area import WIDE, lay_out

BAND_ALPHA: Final = 0.13
UNIT_AXIS: Final[dict[str, Any]] = {"range": [0, 1], "dtick": 0.2, "tickformat": ".1f"}
"""Axis of a share or a probability."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnCurve:
    """One model's curve and style.

    Attributes:
        name: Name on the page.
        style: Style of the model.
        points: Points of the curve, thinned.
        band: Band around both curves; None where there is none.
    """

    name: str
    style: ModelStyle
    points: ThresholdCounts
    band: CurveBand | None = None


def roc_figure(curves: Sequence[DrawnCurve]) -> go.Figure:
    """Draw recall against the false positive rate; the diagonal is chance."""
    figure = go.Figure(reference_line([0, 1], [0, 1]))
    for curve in curves:
        if curve.band is not None:
            _add_band(figure, curve.band.grid, curve.band.roc, curve.style)
        points = curve.points
        figure.add_trace(
            curve_trace(curve, curve.name, points.false_positive_rate(), points.recall())
        )
    lay_out(figure, WIDE)
    figure.update_xaxes(title="False positive rate (1 − specificity)", **UNIT_AXIS)
    figure.update_yaxes(title="Recall (sensitivity)", **UNIT_AXIS)
    return figure


def pr_figure(curves: Sequence[DrawnCurve]) -> go.Figure:
    """Draw precision against recall; the horizontal line is the share of positives."""
    figure = go.Figure()
    shares = {round(curve.points.n_positive / curve.points.n, 6) for curve in curves}
    for share in sorted(shares):
        figure.add_trace(reference_line([0, 1], [share, share]))
    for curve in curves:
        if curve.band is not None:
            _add_band(figure, curve.band.grid, curve.band.precision, curve.style)
        points = curve.points
        figure.add_trace(curve_trace(curve, curve.name, points.recall(), points.precision()))
    lay_out(figure, WIDE)
    figure.update_xaxes(title="Recall (sensitivity)", **UNIT_AXIS)
    figure.update_yaxes(title="Precision (positive predictive value)", **UNIT_AXIS)
    return figure


def curve_trace(
    curve: DrawnCurve, title: str, x: NDArray[np.float64], y: NDArray[np.float64],
    *, width: float = 2.2,
) -> go.Scatter:  # fmt: skip
    """A curve in the style of its model; each point says what is called there.

    Args:
        curve: The curve.
        title: First line of the text of each point.
        x: float64 (m,), abscissa of each point.
        y: float64 (m,), ordinate.
        width: Width of the line, px.
    """
    points = curve.points
    threshold = ["above all" if np.isinf(value) else f"{value:.3f}" for value in points.thresholds]
    missed = points.n_positive - points.true_positives
    columns = (threshold, points.true_positives, points.false_positives, missed)
    return go.Scatter(
        x=np.round(x, 5),
        y=np.round(y, 5),
        name=curve.name,
        mode="lines",
        line={"color": curve.style.color, "dash": curve.style.dash, "width": width},
        customdata=np.column_stack([np.asarray(column, dtype=object) for column in columns]),
        hovertemplate=(
            f"<b>{chart_text(title)}</b><br>threshold %{{customdata[0]}}<br>"
            f"found %{{customdata[1]:,}} of {points.n_positive:,}, missed "
            f"%{{customdata[3]:,}}<br>false alarms %{{customdata[2]:,}} of "
            f"{points.n_negative:,}<br>x %{{x:.3f}}, y %{{y:.3f}}<extra></extra>"
        ),
    )


def _add_band(
    figure: go.Figure, grid: NDArray[np.float64], ends: NDArray[np.float64], style: ModelStyle
) -> None:
    """Draw a band between its lower and upper ends (2, g)."""
    known = np.isfinite(ends).all(axis=0)
    grid, (low, high) = grid[known], ends[:, known]
    figure.add_trace(
        go.Scatter(
            x=np.round(np.concatenate([grid, grid[::-1]]), 4),
            y=np.round(np.concatenate([high, low[::-1]]), 4),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=with_alpha(style.color, BAND_ALPHA),
            hoverinfo="skip",
        )
    )


def reference_line(x: list[float], y: list[float]) -> go.Scatter:
    """A dotted line to compare curves with."""
    return go.Scatter(
        x=x, y=y, mode="lines", hoverinfo="skip",
        line={"color": NEUTRAL, "dash": "dot", "width": 1.2},
    )  # fmt: skip

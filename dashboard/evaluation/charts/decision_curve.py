"""Decision curves: net benefit over threshold probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from core.evaluation.decision_curve import DecisionCurve
from dashboard.evaluation.charts.roc_pr import UNIT_AXIS
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import NEUTRAL, ModelStyle
from dashboard.widgets.plot_area import LOW, lay_out


def decision_figure(
    curves: Mapping[str, DecisionCurve], styles: Mapping[str, ModelStyle]
) -> go.Figure:
    """Draw every model's net benefit, with treating all and treating none.

    Args:
        curves: Decision curve by model.
        styles: Style by model.
    """
    figure = go.Figure()
    highest = 0.0
    for number, (name, curve) in enumerate(curves.items()):
        highest = max(highest, curve.prevalence)
        if number == 0:
            _add_reference(figure, curve)
        figure.add_trace(
            go.Scatter(
                x=curve.thresholds,
                y=np.round(curve.model, 5),
                mode="lines",
                line={"color": styles[name].color, "dash": styles[name].dash, "width": 2},
                hovertemplate=(
                    f"<b>{chart_text(name)}</b><br>threshold %{{x:.3f}}<br>net benefit %{{y:.4f}}"
                    "<extra></extra>"
                ),
            )
        )
    lay_out(figure, LOW)
    highest = max(highest, 0.01)
    figure.update_xaxes(title="Threshold probability", **UNIT_AXIS)
    figure.update_yaxes(title="Net benefit per item", range=[-0.25 * highest, 1.08 * highest])
    return figure


def _add_reference(figure: go.Figure, curve: DecisionCurve) -> None:
    for name, values, dash in (
        ("call all", curve.treat_all, "dash"),
        ("call none", np.zeros_like(curve.thresholds), "dot"),
    ):
        figure.add_trace(
            go.Scatter(
                x=curve.thresholds, y=values, mode="lines",
                line={"color": NEUTRAL, "dash": dash, "width": 1.2},
                hovertemplate=f"{name}: %{{y:.4f}}<extra></extra>",
            )
        )  # fmt: skip

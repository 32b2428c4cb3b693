"""Scores of two models for the same studies, one against the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.visualization.colors import POSITIVE_COLOR
from dashboard.evaluation.charts.roc_pr import UNIT_AXIS, reference_line
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import NEUTRAL
from dashboard.widgets.plot_area import WIDE, lay_out


def disagreement_figure(
    names: tuple[str, str], scores: tuple[NDArray[np.float64], NDArray[np.float64]],
    fractured: NDArray[np.bool_], studies: Sequence[str],
) -> go.Figure:  # fmt: skip
    """Draw a point for each study; its `customdata` is the index of the study.

    Args:
        names: Models of the x and the y axis.
        scores: Their patient scores, each (n,).
        fractured: bool (n,), truth.
        studies: n study ids.
    """
    figure = go.Figure(reference_line([0, 1], [0, 1]))
    shown = np.array([f"…{study[-8:]}" for study in studies], object)
    for label, chosen, color, symbol in (
        ("not fractured", ~fractured, NEUTRAL, "circle-open"),
        ("fractured", fractured, POSITIVE_COLOR, "circle"),
    ):
        places = np.flatnonzero(chosen)
        figure.add_trace(
            go.Scatter(
                x=scores[0][places],
                y=scores[1][places],
                mode="markers",
                name=label,
                marker={"color": color, "symbol": symbol, "size": 8, "line": {"width": 1.5}},
                customdata=places,
                text=shown[places],
                selected={"marker": {"opacity": 1}},
                unselected={"marker": {"opacity": 1}},
                hovertemplate=(
                    f"study %{{text}}, {label}<br>{chart_text(names[0])} %{{x:.3f}}<br>"
                    f"{chart_text(names[1])} %{{y:.3f}}<extra></extra>"
                ),
            )
        )
    lay_out(figure, WIDE)
    figure.update_xaxes(title=chart_text(names[0]), **UNIT_AXIS)
    figure.update_yaxes(title=chart_text(names[1]), **UNIT_AXIS)
    return figure

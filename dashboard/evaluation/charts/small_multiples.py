"""Small ROC panels of C1–C7, and their places in the plot area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.constants import VERTEBRAE
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.evaluation.charts.roc_pr import DrawnCurve, curve_trace, reference_line
from dashboard.widgets.overlay import Mark
from dashboard.widgets.palette import NEUTRAL
from dashboard.widgets.plot_area import GRID, lay_out

COLUMNS: Final = 4
ROWS: Final = 2
_GAP_X: Final = 0.05
_GAP_Y: Final = 0.2


def small_multiples_figure(curves: Mapping[str, Sequence[DrawnCurve]]) -> go.Figure:
    """Draw a panel for each vertebra.

    Args:
        curves: Curves of all models by vertebra; empty for a vertebra without a fracture.
    """
    figure = make_subplots(
        rows=ROWS, cols=COLUMNS, horizontal_spacing=_GAP_X, vertical_spacing=_GAP_Y,
        shared_yaxes=True,
    )  # fmt: skip
    for place, name in enumerate(VERTEBRAE):
        row, column = place // COLUMNS + 1, place % COLUMNS + 1
        at: dict[str, Any] = {"row": row, "col": column}
        figure.add_trace(reference_line([0, 1], [0, 1]), **at)
        for curve in curves.get(name, ()):
            points, title = curve.points, f"{name} · {curve.name}"
            x, y = points.false_positive_rate(), points.recall()
            figure.add_trace(curve_trace(curve, title, x, y, width=1.8), **at)
    _title_panels(figure, curves)
    lay_out(figure, GRID)
    figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], ticktext=["0", ".5", "1"])
    figure.update_yaxes(range=[0, 1], tickvals=[0, 0.5, 1], ticktext=["0", ".5", "1"])
    figure.update_xaxes(visible=False, row=ROWS, col=COLUMNS)
    figure.update_yaxes(visible=False, row=ROWS, col=COLUMNS)
    return figure


def panel_mark(vertebra: int, mark: Mark) -> Mark:
    """The mark, moved from the unit square into a vertebra's panel.

    Args:
        vertebra: 0..6.
        mark: In the coordinates of the panel's axes.
    """
    left, bottom, width, height = panel(vertebra)
    return replace(mark, x=left + mark.x * width, y=bottom + mark.y * height)


def panel(vertebra: int) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel as shares of the plot area."""
    row, column = divmod(vertebra, COLUMNS)
    width = (1 - _GAP_X * (COLUMNS - 1)) / COLUMNS
    height = (1 - _GAP_Y * (ROWS - 1)) / ROWS
    return column * (width + _GAP_X), (ROWS - 1 - row) * (height + _GAP_Y), width, height


def _title_panels(figure: go.Figure, curves: Mapping[str, Sequence[DrawnCurve]]) -> None:
    for place, name in enumerate(VERTEBRAE):
        left, bottom, width, height = panel(place)
        known = curves.get(name, ())
        positives = known[0].points.n_positive if known else 0
        words = f"{positives:,} positive" if known else "no curve: one class only"
        figure.add_annotation(
            xref="paper", yref="paper", x=left, y=bottom + height, xanchor="left", yanchor="bottom",
            showarrow=False,
            text=f"<b style='color:{VERTEBRA_COLORS[name]}'>■</b> <b>{name}</b> {words}",
            font={"size": 11},
        )  # fmt: skip
    left, bottom, width, height = panel(len(VERTEBRAE))
    figure.add_annotation(
        xref="paper", yref="paper", x=left + width / 2, y=bottom + height / 2, showarrow=False,
        xanchor="center", align="center", font={"size": 11, "color": NEUTRAL},
        text="each panel:<br>recall (up) against<br>false positive rate (right)",
    )  # fmt: skip

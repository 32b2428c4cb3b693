"""Charts of training runs: the planned learning rate and the measured curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.training.run_curves import (
    MEASURES,
    Axis,
    kept_epoch,
    measure_of,
    positions,
    smoothed,
    steps_per_epoch,
)
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import CURRENT, MODEL_COLORS, with_alpha
from dashboard.widgets.plot_area import style_chart

RUN_COLORS: Final = MODEL_COLORS
MAX_POINTS: Final = 1500
_WIDTH: Final = {"step": "step", "epoch": "epoch", "hours": "hours since the start"}
_FAINT: Final = 0.28
_PANELS: Final = (
    ("Loss", "loss"),
    ("Held-out {measure}", "{measure}"),
    ("Learning rate", "learning rate"),
    ("Throughput", "images per second"),
    ("Waiting for data", "share of the time"),
)


@dataclass(frozen=True, slots=True, eq=False)
class RunLines:
    """Measured lines of a run.

    Attributes:
        step: Lines of "step".
        validation: Lines of "validation".
        keep: "best" or "last": the run's `keep_epoch`.
        resources: Lines of "resources".
    """

    step: pd.DataFrame
    validation: pd.DataFrame
    keep: Any = "best"
    resources: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been measured."""
        return self.step.empty and self.validation.empty


Curves = Mapping[str, RunLines]
"""Lines by the name of the run."""


@dataclass(frozen=True, slots=True)
class CurveView:
    """How curves are drawn.

    Attributes:
        axis: Horizontal axis.
        smoothing: Weight of the moving average of losses and throughput, from 0 to below 1.
        log_loss: Whether the axis of the loss is logarithmic.
    """

    axis: Axis = "step"
    smoothing: float = 0.0
    log_loss: bool = False


def schedule_figure(learning_rate: NDArray[np.float64]) -> go.Figure:
    """Draw the planned learning rate of a run.

    Args:
        learning_rate: float64 (steps,).
    """
    kept = _thinned(len(learning_rate))
    figure = go.Figure(
        go.Scatter(
            x=kept + 1,
            y=learning_rate[kept],
            mode=_mode(len(kept)),
            line={"color": CURRENT, "width": 2},
            fill="tozeroy",
            hovertemplate="step %{x}<br>learning rate %{y:.2e}<extra></extra>",
        )
    )
    style_chart(figure, 190, zoom=True)
    figure.update_xaxes(title="step", **_steps_range(len(learning_rate)))
    figure.update_yaxes(title="learning rate", exponentformat="e", rangemode="tozero")
    return figure


def curves_figure(curves: Curves, view: CurveView = CurveView()) -> go.Figure:
    """Draw loss, held-out measure, learning rate, throughput and waiting, one colour per run.

    The training loss is a line, the held-out loss dashed; a ring marks the epoch whose weights the
    bundle has.

    Args:
        curves: Lines by run.
        view: Axes and smoothing.
    """
    measures = [name for lines in curves.values() if (name := measure_of(lines.validation))]
    measure = measures[0] if measures else "auc"
    names = [title.format(measure=MEASURES[measure]) for title, _ in _PANELS]
    figure = make_subplots(
        rows=3, cols=2, subplot_titles=names, vertical_spacing=0.14, horizontal_spacing=0.14
    )
    for number, (run, lines) in enumerate(curves.items()):
        chart = _RunChart(figure, run, lines, RUN_COLORS[number % len(RUN_COLORS)], view)
        chart.draw(measure)
    _axes(figure, curves, view, measure)
    style_chart(figure, 760, zoom=True)
    figure.update_layout(
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": 1.08, "yanchor": "bottom", "x": 0},
        margin={"t": 50 + 24 * (len(curves) > 1)},
    )
    return figure


def level_figure(table: pd.DataFrame, colors: Mapping[str, str]) -> go.Figure:
    """Draw the measure of each output by epoch.

    Args:
        table: From `core.training.run_curves.by_level`.
        colors: `#RRGGBB` by the last two letters of an output's name, C1 to C7.
    """
    figure = go.Figure()
    for name in map(str, table):
        figure.add_trace(
            go.Scatter(
                x=table.index, y=table[name], name=name, mode=_mode(len(table)),
                line={"color": colors.get(name[-2:], CURRENT), "width": 2,
                      "dash": "dot" if name.startswith("v") else "solid"},
                hovertemplate=f"{name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>",
            )
        )  # fmt: skip
    style_chart(figure, 280, zoom=True)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
    figure.update_xaxes(title="epoch")
    if len(table) <= 10:
        figure.update_xaxes({"dtick": 1})
    lowest = min(0.45, float(np.nanmin(table.to_numpy(np.float64))) - 0.05)
    figure.update_yaxes(title="held out", range=[lowest, 1.02])
    return figure


@dataclass(frozen=True, slots=True, eq=False)
class _RunChart:
    """The lines of one run in the panels of a figure."""

    figure: go.Figure
    run: str
    lines: RunLines
    color: str
    view: CurveView

    def draw(self, measure: str) -> None:
        step, validation = self.lines.step, self.lines.validation
        self._line(0, step, "loss", "training loss", smooth=True, legend=True)
        self._line(0, validation, "loss", "held-out loss", dash="dash")
        self._line(1, validation, measure, f"held-out {MEASURES[measure]}")
        self._ring(measure)
        self._line(2, step, "learning_rate", "learning rate")
        self._line(3, step, "images_per_second", "images per second", smooth=True)
        self._line(4, step, "loader_wait_share", "of the time waiting for data", smooth=True)

    def _line(
        self, panel: int, lines: pd.DataFrame, column: str, what: str, *, dash: str = "solid",
        smooth: bool = False, legend: bool = False,
    ) -> None:  # fmt: skip
        x, y = self._points(lines, column)
        if not len(x):
            return
        weight = self.view.smoothing if smooth else 0.0
        kept = _thinned(len(x))
        # Smoothed before points are left out: all of them count.
        drawn = smoothed(y, weight)
        if weight:
            self._add(panel, x[kept], y[kept], what, with_alpha(self.color, _FAINT), hover=False)
        self._add(panel, x[kept], drawn[kept], what, self.color, dash=dash, legend=legend)

    def _add(
        self, panel: int, x: NDArray[np.float64], y: NDArray[np.float64], what: str, color: str,
        *, dash: str = "solid", legend: bool = False, hover: bool = True,
    ) -> None:  # fmt: skip
        unit = self.view.axis
        place = "after %{x:.2f} h" if unit == "hours" else f"{unit} %{{x:,.6~g}}"
        trace = go.Scatter(
            x=x, y=y, name=chart_text(self.run), legendgroup=self.run, showlegend=legend,
            mode=_mode(len(x)), line={"color": color, "width": 2, "dash": dash}, marker={"size": 6},
            hovertemplate=f"{chart_text(self.run)}, {place}: {what} %{{y:.4g}}<extra></extra>",
            hoverinfo=None if hover else "skip",
        )  # fmt: skip
        if not hover:
            trace.hovertemplate = None
        self.figure.add_trace(trace, row=panel // 2 + 1, col=panel % 2 + 1)

    def _ring(self, measure: str) -> None:
        """Mark the epoch that the bundle keeps."""
        validation = self.lines.validation
        epoch = kept_epoch(validation, self.lines.keep)
        if epoch is None or measure not in validation:
            return
        x, y = self._points(validation.query("epoch == @epoch"), measure, of=validation)
        if not len(x):
            return
        run = chart_text(self.run)
        self.figure.add_trace(
            go.Scatter(
                x=x, y=y, mode="markers", showlegend=False, legendgroup=self.run,
                marker={"symbol": "circle-open", "size": 14, "color": self.color,
                        "line": {"width": 2.5}},
                hovertemplate=f"{run}: the bundle has the weights of epoch {epoch}, "
                f"{MEASURES[measure]} %{{y:.3f}}<extra></extra>",
            ),
            row=1, col=2,
        )  # fmt: skip

    def _points(
        self, lines: pd.DataFrame, column: str, *, of: pd.DataFrame | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Places and values of a column where both are known; hours count from all lines `of`."""
        if lines.empty or column not in lines or "step" not in lines:
            return np.empty(0), np.empty(0)
        whole = lines if of is None else of
        placed = positions(whole, self.view.axis, steps_per_epoch(self.lines.validation))
        x = pd.Series(placed, index=whole.index).loc[lines.index].to_numpy(np.float64)
        y = lines[column].astype(float).to_numpy(np.float64)
        known = np.isfinite(x) & np.isfinite(y)
        return x[known], y[known]


def _axes(figure: go.Figure, curves: Curves, view: CurveView, measure: str) -> None:
    for panel, (_, unit) in enumerate(_PANELS):
        row, col = panel // 2 + 1, panel % 2 + 1
        title = unit.format(measure=MEASURES[measure])
        figure.update_yaxes(title=title, rangemode="tozero", row=row, col=col)
        figure.update_xaxes(title=_WIDTH[view.axis], rangemode="tozero", row=row, col=col)
    if view.axis == "step":
        last = max((int(np.max(known["step"])) for known in _measured(curves)), default=1)
        figure.update_xaxes(**_steps_range(last))
    if view.log_loss:
        figure.update_yaxes(type="log", row=1, col=1)
    figure.update_yaxes(exponentformat="e", row=2, col=1)
    figure.update_yaxes(tickformat=".0%", range=[0, None], row=3, col=1)
    values = [
        float(value)
        for lines in curves.values()
        if measure in lines.validation
        for value in lines.validation[measure].dropna().tolist()
    ]
    figure.update_yaxes(range=[min(0.45, min(values, default=0.5) - 0.05), 1.02], row=1, col=2)


def _measured(curves: Curves) -> list[pd.DataFrame]:
    tables = [table for lines in curves.values() for table in (lines.step, lines.validation)]
    return [table for table in tables if "step" in table and len(table)]


def _mode(points: int) -> str:
    # A line does not show a single point.
    return "lines+markers" if points < 30 else "lines"


def _steps_range(last: int) -> dict[str, Any]:
    """Range of the steps, from 0; without parts of a step where there are few."""
    return {"range": [0, 1.04 * max(last, 1)]} | ({"dtick": 1} if last <= 10 else {})


def _thinned(count: int) -> NDArray[np.int64]:
    """Indices of at most `MAX_POINTS` points, evenly spaced, including the last."""
    if count <= MAX_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MAX_POINTS).astype(np.int64))

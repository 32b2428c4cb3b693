"""Charts of a search: history, importances, slices and parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.experiments.sweep_config import Choice, Range
from core.experiments.sweep_results import SweepResult, TrialRow
from dashboard.session.wording import chart_text
from dashboard.training.run_form import label_of, value_text
from dashboard.widgets.palette import CURRENT, MODEL_COLORS, NEUTRAL, with_alpha
from dashboard.widgets.plot_area import style_chart

HEIGHT: Final = 300
METRIC_NAMES: Final = {
    "auc": "held-out AUC",
    "auc_macro": "held-out AUC, mean over vertebrae",
    "loss": "held-out loss",
    "mean_iou": "held-out mean IoU",
    "dice": "held-out Dice",
}
_SLICE_HEIGHT: Final = 240
_COLUMNS: Final = 3


def history_figure(result: SweepResult) -> go.Figure:
    """Draw the metric of each finished trial, and the best one so far as a line."""
    history = result.history()
    numbers, values, best = zip(*history, strict=True) if history else ((), (), ())
    metric = METRIC_NAMES[result.sweep.metric]
    figure = go.Figure(
        [
            go.Scatter(
                x=numbers, y=best, mode="lines", line={"color": CURRENT, "shape": "hv", "width": 2},
                name="best so far",
                hovertemplate="Best up to trial %{x}: %{y:.4f}<extra></extra>",
            ),
            go.Scatter(
                x=numbers, y=values, mode="markers", marker={"color": MODEL_COLORS[0], "size": 8},
                name="a trial",
                hovertemplate=f"Trial %{{x}} has a {metric} of %{{y:.4f}}.<extra></extra>",
            ),
        ]
    )  # fmt: skip
    pruned = [t for t in result.trials if t.outcome == "pruned" and t.value is not None]
    if pruned:
        figure.add_scatter(
            x=[t.number for t in pruned], y=[t.value for t in pruned], mode="markers",
            marker={"color": NEUTRAL, "size": 8, "symbol": "x"}, name="ended early",
            hovertemplate="Trial %{x} was ended early, at %{y:.4f}.<extra></extra>",
        )  # fmt: skip
    style_chart(figure, HEIGHT, top=30)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    figure.update_xaxes(title="Trial", tickformat="d", **_whole_axis(len(result.trials)))
    figure.update_yaxes(title=metric.capitalize().replace("auc", "AUC"))
    return figure


def importance_figure(result: SweepResult) -> go.Figure:
    """Draw the share of the metric's variance that each setting explains, the largest on top."""
    shares = list((result.importances or {}).items())[::-1]
    figure = go.Figure(
        go.Bar(
            x=[share for _, share in shares],
            y=[chart_text(label_of(key)) for key, _ in shares],
            orientation="h",
            marker={"color": MODEL_COLORS[0]},
            text=[f"{share:.0%}" for _, share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y} explains %{x:.1%} of the differences.<extra></extra>",
        )
    )
    style_chart(figure, HEIGHT)
    figure.update_layout(margin={"r": 48}, bargap=0.4)
    figure.update_xaxes(title="Share of the variance", tickformat=".0%", range=[0, 1.02])
    return figure


def slice_figure(result: SweepResult) -> go.Figure:
    """Draw the metric of the trials against each setting that varies."""
    keys = list(result.sweep.space)
    rows = math.ceil(len(keys) / _COLUMNS)
    columns = min(len(keys), _COLUMNS)
    figure = make_subplots(rows, columns, shared_yaxes=True, horizontal_spacing=0.05)
    trials = _measured(result)
    for place, key in enumerate(keys):
        row, column = divmod(place, columns)
        label = chart_text(label_of(key))
        figure.add_scatter(
            row=row + 1, col=column + 1,
            x=[_place(trial.values.get(key), result, key) for trial in trials],
            y=[trial.value for trial in trials],
            customdata=[trial.number for trial in trials],
            mode="markers",
            marker={"size": 8, "color": [_color(result, trial) for trial in trials]},
            hovertemplate=f"Trial %{{customdata}}: {label} %{{x}} gave %{{y:.4f}}.<extra></extra>",
        )  # fmt: skip
        figure.update_xaxes(
            row=row + 1, col=column + 1, title=label, **_axis(result.sweep.space[key])
        )
    style_chart(figure, 60 + _SLICE_HEIGHT * rows)
    metric = METRIC_NAMES[result.sweep.metric].capitalize().replace("auc", "AUC")
    figure.update_yaxes(title=metric, col=1)
    return figure


def parallel_figure(result: SweepResult) -> go.Figure:
    """Draw each trial as a line through its settings to its metric; the best one is bold."""
    keys = list(result.sweep.space)
    titles = [label_of(key) for key in keys] + [METRIC_NAMES[result.sweep.metric]]
    trials = _measured(result)
    values = [trial.value or 0.0 for trial in trials]
    low, high = min(values, default=0.0), max(values, default=1.0)
    figure = go.Figure()
    best = result.best
    for trial in sorted(trials, key=lambda trial: trial is best):
        heights = [_height(trial.values.get(key), result, key) for key in keys]
        heights.append((trial.value or 0.0) - low if high == low else _share(trial, low, high))
        told = "<br>".join(
            f"{chart_text(label_of(key))}: {chart_text(value_text(trial.values.get(key)))}"
            for key in keys
        )
        figure.add_scatter(
            x=titles, y=heights, mode="lines+markers", marker={"size": 6},
            line={"color": _color(result, trial), "width": 3.5 if trial is best else 1.4},
            hovertemplate=f"<b>Trial {trial.number}: {trial.value:.4f}</b><br>{told}"
            "<extra></extra>",
        )  # fmt: skip
    for place, key in enumerate([*keys, None]):
        ends = (f"{low:.4g}", f"{high:.4g}") if key is None else _ends(result, key)
        for text, height in zip(ends, (-0.02, 1.02), strict=True):
            figure.add_annotation(
                x=place, y=height, text=chart_text(text), showarrow=False,
                yanchor="top" if height < 0 else "bottom", font={"size": 11},
            )  # fmt: skip
        # Not a grid line, which would go through the labels at its ends.
        figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, layer="below",
            line={"color": NEUTRAL, "width": 1},
        )  # fmt: skip
    style_chart(figure, HEIGHT + 40)
    figure.update_xaxes(showgrid=False, title=None, range=[-0.4, len(keys) + 0.4])
    figure.update_yaxes(visible=False, range=[-0.16, 1.16])
    return figure


def _measured(result: SweepResult) -> list[TrialRow]:
    return [trial for trial in result.trials if trial.value is not None]


def _color(result: SweepResult, trial: TrialRow) -> str:
    if trial is result.best:
        return CURRENT
    return MODEL_COLORS[0] if trial.outcome == "finished" else with_alpha(NEUTRAL, 0.6)


def _share(trial: TrialRow, low: float, high: float) -> float:
    return ((trial.value or 0.0) - low) / (high - low)


def _place(value: Choice, result: SweepResult, key: str) -> Choice:
    """A value on the axis of its setting: choices as text."""
    return value if isinstance(result.sweep.space[key], Range) else value_text(value)


def _height(value: Choice, result: SweepResult, key: str) -> float:
    """Height of a value on its axis, from 0 to 1."""
    space = result.sweep.space[key]
    if isinstance(space, list):
        return space.index(value) / max(len(space) - 1, 1) if value in space else 0.0
    low, high, given = float(space.low), float(space.high), float(value or 0.0)
    if space.log:
        low, high, given = math.log(low), math.log(high), math.log(max(given, 1e-300))
    return 0.5 if high == low else (given - low) / (high - low)


def _ends(result: SweepResult, key: str) -> tuple[str, str]:
    space = result.sweep.space[key]
    if isinstance(space, list):
        return value_text(space[0]), value_text(space[-1])
    return f"{space.low:g}", f"{space.high:g}"


def _axis(space: Range | Sequence[Choice]) -> dict[str, Any]:
    if not isinstance(space, Range):
        return {"type": "category"}
    if space.log:
        ends = [math.log10(space.low) - 0.1, math.log10(space.high) + 0.1]
        return {"type": "log", "dtick": 1, "tickformat": ".0e", "range": ends}
    return {"tickformat": "d"} if isinstance(space.low, int) else {}


def _whole_axis(count: int) -> dict[str, Any]:
    """An axis of trial numbers that fits a few of them."""
    return {"range": [-0.5, max(count, 4) - 0.5], "dtick": max(1, count // 8)}

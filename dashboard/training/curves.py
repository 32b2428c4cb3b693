"""Charts of training runs: the planned learning rate and the measured curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dashboard.session.wording import chart_text
from dashboard.widgets.palette import CURRENT, MODEL_COLORS
from dashboard.widgets.plot_area import show_chart, style_chart

RUN_COLORS: Final = MODEL_COLORS
MAX_POINTS: Final = 1500
_PANELS: Final = (
    ("step", "loss", "Training loss", "weighted BCE (nats)"),
    ("validation", "auc", "Held-out ROC AUC", "AUC"),
    ("step", "learning_rate", "Learning rate", "learning rate"),
    ("step", "images_per_second", "Throughput", "images per second"),
)

Curves = Mapping[str, Mapping[str, pd.DataFrame]]
"""By run, then by event ("step", "validation"): one row per line of `metrics.jsonl`."""


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
    figure.update_xaxes(title="step", **_step_axis(len(learning_rate)))
    figure.update_yaxes(title="learning rate", exponentformat="e", rangemode="tozero")
    return figure


def curves_figure(curves: Curves) -> go.Figure:
    """Draw loss, held-out AUC, learning rate and throughput by step, one line per run."""
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=[title for *_, title, _ in _PANELS],
        vertical_spacing=0.2, horizontal_spacing=0.14,
    )  # fmt: skip
    for number, (run, events) in enumerate(curves.items()):
        color = RUN_COLORS[number % len(RUN_COLORS)]
        for panel, (event, column, _, unit) in enumerate(_PANELS):
            _add_line(figure, panel, run, events.get(event), column, unit, color)
    last = max((int(np.max(known["step"])) for known in _measured(curves)), default=1)
    for panel, (*_, unit) in enumerate(_PANELS):
        row, col = divmod(panel, 2)
        figure.update_yaxes(title=unit, rangemode="tozero", row=row + 1, col=col + 1)
        figure.update_xaxes(title="step", row=row + 1, col=col + 1, **_step_axis(last))
    figure.update_yaxes(exponentformat="e", row=2, col=1)
    aucs = [
        float(auc)
        for known in _measured(curves)
        if "auc" in known
        for auc in known["auc"].dropna().tolist()
    ]
    lowest = min(aucs, default=0.5)
    figure.update_yaxes(range=[min(0.45, lowest - 0.05), 1.02], row=1, col=2)
    style_chart(figure, 560, zoom=True)
    figure.update_layout(
        showlegend=len(curves) > 1,
        legend={"orientation": "h", "y": 1.14, "yanchor": "bottom", "x": 0},
        margin={"t": 50 + 24 * (len(curves) > 1)},
    )
    return figure


def show_curves(curves: Curves, key: str) -> None:
    """Draw the measured curves of runs, and how to read them.

    Args:
        curves: At least one measured run.
        key: Key of the chart.
    """
    alt = "Loss, held-out AUC, learning rate and throughput against the step"
    show_chart(curves_figure(curves), key, alt)
    st.caption(
        "A run is learning if the training loss falls and the held-out AUC rises (0.5 is chance, "
        "1 is perfect). If the loss keeps falling while the AUC falls too, the network overfits "
        "its training slices."
    )


def _add_line(
    figure: go.Figure, panel: int, run: str, lines: pd.DataFrame | None, column: str, unit: str,
    color: str,
) -> None:  # fmt: skip
    if lines is None or column not in lines:
        return
    known = lines[["step", column]].dropna()
    if known.empty:
        return
    known = known.iloc[_thinned(len(known))]
    figure.add_trace(
        go.Scatter(
            x=known["step"],
            y=known[column],
            name=chart_text(run),
            legendgroup=run,
            showlegend=panel == 0,
            mode=_mode(len(known)),
            line={"color": color, "width": 2},
            marker={"size": 6},
            hovertemplate=f"{run}<br>step %{{x}}<br>{unit} %{{y:.4g}}<extra></extra>",
        ),
        row=panel // 2 + 1,
        col=panel % 2 + 1,
    )


def _measured(curves: Curves) -> list[pd.DataFrame]:
    tables = [lines for events in curves.values() for lines in events.values()]
    return [lines for lines in tables if "step" in lines and len(lines)]


def _mode(points: int) -> str:
    # A line does not show a single point.
    return "lines+markers" if points < 30 else "lines"


def _step_axis(last: int) -> dict[str, Any]:
    """Range of the steps, from 0; without parts of a step where there are few."""
    return {"range": [0, 1.04 * max(last, 1)]} | ({"dtick": 1} if last <= 10 else {})


def _thinned(count: int) -> NDArray[np.int64]:
    """Indices of at most `MAX_POINTS` points, evenly spaced, including the last."""
    if count <= MAX_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MAX_POINTS).astype(np.int64))

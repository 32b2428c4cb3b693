"""The model's ROC curve with the readers as points."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import plotly.graph_objects as go

from core.reader_study.results import CallFigures, StudyResults
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import CURRENT, MODEL_COLORS, NEUTRAL
from dashboard.widgets.plot_area import WIDE, lay_out

_AXIS: Final[dict[str, Any]] = {"range": [-0.03, 1.03], "dtick": 0.2, "tickformat": ".1f"}
_STYLES: Final = {
    "without help": (MODEL_COLORS[1], "circle-open"), "with help": (MODEL_COLORS[3], "diamond"),
}  # fmt: skip


def reader_roc(results: StudyResults, own: int | None = None) -> go.Figure:
    """Draw sensitivity against the false positive rate.

    Args:
        results: The results; readers who saw one kind of study only have no point.
        own: Number of the reader to mark; None for none.
    """
    figure = go.Figure(
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", showlegend=False,
            line={"color": NEUTRAL, "dash": "dot", "width": 1.2},
        )
    )  # fmt: skip
    _add_model(figure, results)
    for name, (color, symbol) in _STYLES.items():
        _add_readers(figure, results, name, color, symbol)
    mine = next((one for one in results.readers if one.reader == own), None)
    if mine is not None and (point := _point(mine.all)) is not None:
        figure.add_trace(
            go.Scatter(
                x=[point[0]], y=[point[1]], name="you", mode="markers",
                marker={"symbol": "star", "size": 19, "color": CURRENT,
                        "line": {"width": 1.5, "color": "white"}},
                hovertemplate="<b>You</b>, all cases<br>sensitivity %{y:.2f}, false positive rate "
                "%{x:.2f}<extra></extra>",
            )
        )  # fmt: skip
    lay_out(figure, WIDE)
    figure.update_layout(
        showlegend=True, legend={"x": 0.98, "y": 0.02, "xanchor": "right", "yanchor": "bottom"}
    )
    figure.update_xaxes(title="False positive rate (1 − specificity)", **_AXIS)
    figure.update_yaxes(title="Sensitivity", **_AXIS)
    return figure


def _add_model(figure: go.Figure, results: StudyResults) -> None:
    model = results.model
    if model is None:
        return
    color = MODEL_COLORS[0]
    figure.add_trace(
        go.Scatter(
            x=list(model.false_positive_rate), y=list(model.sensitivity), name="model",
            mode="lines+markers", line={"color": color, "width": 2.2}, marker={"size": 4},
            hovertemplate="<b>Model</b><br>sensitivity %{y:.2f}, false positive rate %{x:.2f}"
            "<extra></extra>",
        )
    )  # fmt: skip
    if (point := _point(model.figures)) is not None:
        figure.add_trace(
            go.Scatter(
                x=[point[0]], y=[point[1]], name="model at its threshold", mode="markers",
                marker={"symbol": "square-open", "size": 13, "color": color, "line": {"width": 2}},
                hovertemplate=f"<b>Model at threshold {model.threshold:.2f}</b><br>sensitivity "
                "%{y:.2f}, false positive rate %{x:.2f}<extra></extra>",
            )
        )  # fmt: skip


def _add_readers(
    figure: go.Figure, results: StudyResults, name: str, color: str, symbol: str
) -> None:
    """One mark for all readers at the same place, larger for more of them."""
    places: dict[tuple[float, float], list[int]] = {}
    for reader in results.readers:
        figures = reader.helped if name == "with help" else reader.without
        if figures is not None and (point := _point(figures)) is not None:
            places.setdefault(point, []).append(reader.reader)
    if not places:
        return
    counts = Counter({point: len(readers) for point, readers in places.items()})
    said = [
        chart_text(f"reader {readers[0]}" if len(readers) == 1 else f"{len(readers)} readers")
        for readers in places.values()
    ]
    figure.add_trace(
        go.Scatter(
            x=[x for x, _ in places], y=[y for _, y in places], name=f"readers {name}",
            mode="markers", customdata=said,
            marker={
                # Open and larger, or filled: both stay visible at the same place.
                "symbol": symbol, "color": color, "opacity": 0.85,
                "size": [_size(counts[point], is_open=symbol.endswith("open")) for point in places],
                "line": {"width": 2.2 if symbol.endswith("open") else 0},
            },
            hovertemplate=f"<b>%{{customdata}}</b> {name}<br>sensitivity %{{y:.2f}}, false "
            "positive rate %{x:.2f}<extra></extra>",
        )
    )  # fmt: skip


def _size(n_readers: int, *, is_open: bool) -> float:
    return min(8 + 2 * (n_readers - 1), 22) + 5 * is_open


def _point(figures: CallFigures) -> tuple[float, float] | None:
    """False positive rate and sensitivity; None where one of them is not defined."""
    if figures.sensitivity is None or figures.specificity is None:
        return None
    return round(1 - figures.specificity.value, 4), round(figures.sensitivity.value, 4)

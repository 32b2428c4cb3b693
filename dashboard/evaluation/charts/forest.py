"""Forest plot: a figure of each group of studies with its interval, and that of all studies."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any, Final

import plotly.graph_objects as go

from core.evaluation.subgroup_report import MEASURE_NAMES, group_name, sentence
from core.evaluation.subgroups import Measure, Subgroup
from dashboard.evaluation.charts.roc_pr import UNIT_AXIS
from dashboard.session.wording import chart_text
from dashboard.widgets.palette import CURRENT, NEUTRAL, WEAK
from dashboard.widgets.plot_area import style_chart

ROW_PX: Final = 24
_WIDE: Final = 60
_LONGEST_LABEL: Final = 34


def forest_figure(
    groups: Sequence[Subgroup], overall: Subgroup, measure: Measure, chosen: Sequence[int] = ()
) -> go.Figure:
    """Draw one row per group, the first at the top.

    Colour and symbol say what the test of the error rate says, whichever figure is shown.

    Args:
        groups: Groups, in the order of the rows.
        overall: All studies, for the line.
        measure: Figure to show.
        chosen: Rows of the groups that the page is filtered to.
    """
    figure = go.Figure()
    rows = [k for k, group in enumerate(groups) if group.estimates[measure] is not None]
    shown = [groups[k] for k in rows]
    figure.add_trace(
        go.Scatter(
            x=[_end(group, measure, "value") for group in shown],
            y=rows,
            customdata=rows,
            error_x=_bars(shown, measure),
            mode="markers",
            marker={
                "size": 9,
                "color": [_color(group) for group in shown],
                "symbol": [_symbol(group) for group in shown],
                "line": {"width": [3 if k in chosen else 0 for k in rows], "color": CURRENT},
            },
            text=[_hover(group, measure) for group in shown],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    _add_empty_rows(figure, groups, set(rows))
    reference = overall.estimates[measure]
    if reference is not None:
        figure.add_vline(x=reference.value, line={"color": NEUTRAL, "dash": "dash", "width": 1.4})
    style_chart(figure, 70 + ROW_PX * max(len(groups), 1))
    figure.update_xaxes(title=MEASURE_NAMES[measure], **_axis(measure, groups))
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(groups))),
        ticktext=[_label(group) for group in groups],
        range=[len(groups) - 0.4, -0.6],
        automargin=True,
        showgrid=False,
    )
    return figure


def _bars(groups: Sequence[Subgroup], measure: Measure) -> dict[str, Any]:
    above, below = [], []
    for group in groups:
        value = _end(group, measure, "value")
        low, high = _end(group, measure, "low"), _end(group, measure, "high")
        above.append(0.0 if value is None or high is None else high - value)
        below.append(0.0 if value is None or low is None else value - low)
    return {
        "type": "data", "symmetric": False, "array": above, "arrayminus": below,
        "thickness": 1.6, "width": 3, "color": NEUTRAL,
    }  # fmt: skip


def _add_empty_rows(figure: go.Figure, groups: Sequence[Subgroup], drawn: set[int]) -> None:
    """Say why a row has no mark."""
    for k, group in enumerate(groups):
        if k not in drawn:
            few = f"too few ({group.studies:,})" if not group.enough else "not defined"
            figure.add_annotation(
                x=0, y=k, xref="paper", xanchor="left", text=few, showarrow=False,
                font={"color": NEUTRAL, "size": 11},
            )  # fmt: skip


def _axis(measure: Measure, groups: Sequence[Subgroup]) -> dict[str, Any]:
    """The whole unit for an AUC; shares from 0 as far as an interval reaches."""
    if measure == "auc":
        return {**UNIT_AXIS, "tickformat": ".2f"}
    ends = [_end(group, measure, "high") for group in groups]
    highest = max((end for end in ends if end is not None), default=1.0)
    return {"range": [-0.01, min(1.01, highest * 1.04 + 0.01)], "tickformat": ".0%"}


def _end(group: Subgroup, measure: Measure, name: str) -> float | None:
    estimate = group.estimates[measure]
    return None if estimate is None else getattr(estimate, name)


def _hover(group: Subgroup, measure: Measure) -> str:
    text = sentence(group)
    estimate = group.estimates[measure]
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        text += (
            f" {MEASURE_NAMES[measure]} {estimate.value:.3f}, 95 % interval "
            f"{estimate.low:.3f} to {estimate.high:.3f}."
        )
    return "<br>".join(chart_text(line) for line in wrap(text, _WIDE))


def _label(group: Subgroup) -> str:
    name = group_name(group)
    short = name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"
    return chart_text(short)


def _color(group: Subgroup) -> str:
    if group.weakness:
        return WEAK
    return CURRENT if group.strength else NEUTRAL


def _symbol(group: Subgroup) -> str:
    if group.weakness:
        return "diamond"
    return "square" if group.strength else "circle"

"""Table C1–C7: extent, probability, call and, on request, the truth."""

from __future__ import annotations

from collections.abc import Sequence

from core.constants import VERTEBRAE
from core.inference.study_scores import Calls, StudyScores
from dashboard.widgets.palette import VERTEBRA_COLORS


def vertebra_table(
    scores: StudyScores,
    calls: Calls,
    *,
    threshold: float,
    truth: Sequence[bool] | None = None,
) -> str:
    """The table as HTML.

    Args:
        scores: Scores of the study.
        calls: Calls at `threshold`.
        threshold: Vertebra threshold, marked on every probability bar.
        truth: y_j for C1..C7 to compare with; None omits the column.
    """
    rows = "".join(
        _row(scores, calls, j, threshold, None if truth is None else truth[j])
        for j in range(len(VERTEBRAE))
    )
    heading = "<th>Truth</th>" if truth is not None else ""
    return (
        '<table class="lab-table lab-vertebrae"><thead><tr><th>Level</th><th>Slices</th>'
        f'<th class="lab-wide">Fracture probability</th><th>Call</th>{heading}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def call_pill(called: bool | None) -> str:
    """A call for one vertebra as HTML; None is shown as "not seen"."""
    if called is None:
        return '<span class="lab-pill lab-pill-muted">not seen</span>'
    if called:
        return '<span class="lab-pill lab-pill-amber">fracture</span>'
    return '<span class="lab-pill lab-pill-quiet">none</span>'


def _row(scores: StudyScores, calls: Calls, j: int, threshold: float, truth: bool | None) -> str:
    name, called = VERTEBRAE[j], calls.vertebrae[j]
    prob, span = float(scores.patient.vertebra_probs[j]), scores.ranges[j]
    extent = "–" if span is None else f"{span[0]}–{span[1]}"
    tone = {True: "lab-hot", False: "", None: "lab-unseen"}[called]
    last = "" if truth is None else f"<td>{_truth_mark(called, truth)}</td>"
    return (
        f'<tr class="{tone}"><td><span class="lab-chip" style="background:{VERTEBRA_COLORS[name]}">'
        f"</span>{name}</td><td>{extent}</td>"
        f"<td>{_bar(prob, threshold)}</td><td>{call_pill(called)}</td>{last}</tr>"
    )


def _bar(prob: float, threshold: float) -> str:
    return (
        '<span class="lab-bar-cell"><span class="lab-bar">'
        f'<span class="lab-bar-fill" style="width:{100 * prob:.1f}%"></span>'
        f'<span class="lab-bar-tick" style="left:{100 * threshold:.1f}%"></span>'
        f'</span><span class="lab-number">{prob:.3f}</span></span>'
    )


def _truth_mark(called: bool | None, truth: bool) -> str:
    word = "fracture" if truth else "none"
    agrees = bool(called) == truth
    sign, tone = ("✓", "lab-agree") if agrees else ("✗", "lab-differ")
    return f'<span class="{tone}" title="{"agrees" if agrees else "differs"}">{sign}</span> {word}'

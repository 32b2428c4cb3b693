"""Table C1–C7: extent, probability, call and, on request, the truth."""

from __future__ import annotations

from collections.abc import Sequence

from core.constants import VERTEBRAE
from core.inference.study_scores import Calls, StudyScores
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.widgets.html_table import html_table


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
    rows: list[list[str]] = []
    for j, name in enumerate(VERTEBRAE):
        span, called = scores.ranges[j], calls.vertebrae[j]
        row = [
            color_chip(VERTEBRA_COLORS[name]) + name,
            "–" if span is None else f"{span[0]}–{span[1]}",
            _bar(float(scores.patient.vertebra_probs[j]), threshold, called),
            call_pill(called),
        ]
        rows.append(row if truth is None else [*row, _truth_mark(called, truth[j])])
    head = ("Level", "Slices", "Fracture probability", "Call", "Truth")
    columns = head[:-1] if truth is None else head
    return html_table(columns, rows, looks="lab-vertebrae lab-calls")


def color_chip(color: str) -> str:
    """A small square as HTML, in front of a name."""
    return f'<span class="lab-chip" style="background:{color}"></span>'


def call_pill(called: bool | None) -> str:
    """A call for one vertebra as HTML; None is shown as "not seen"."""
    if called is None:
        return '<span class="lab-pill lab-pill-muted">not seen</span>'
    if called:
        return '<span class="lab-pill lab-pill-amber">fracture</span>'
    return '<span class="lab-pill lab-pill-quiet">none</span>'


def _bar(prob: float, threshold: float, called: bool | None) -> str:
    tone = {True: " lab-hot", False: "", None: " lab-unseen"}[called]
    return (
        f'<span class="lab-bar-cell{tone}"><span class="lab-bar">'
        f'<span class="lab-bar-fill" style="width:{100 * prob:.1f}%"></span>'
        f'<span class="lab-bar-tick" style="left:{100 * threshold:.1f}%"></span>'
        f'</span><span class="lab-number">{prob:.3f}</span></span>'
    )


def _truth_mark(called: bool | None, truth: bool) -> str:
    """What is true, and after it, where the call differs, which error that is."""
    word = "fracture" if truth else "none"
    if bool(called) == truth:
        return f'<span class="lab-agree" title="agrees">{word}</span>'
    error = "missed" if truth else "false alarm"
    return f'{word} <span class="lab-differ" title="differs">{error}</span>'

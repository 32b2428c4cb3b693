"""Table C1–C7: extent, probability, call and, on request, the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.constants import VERTEBRAE
from core.inference.study_scores import Calls, StudyScores
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.widgets.html_table import html_table

MUTED: Final = ' class="lab-muted"'
"""Attribute of a probability that says nothing about the scan."""


def vertebra_table(
    scores: StudyScores,
    calls: Calls,
    *,
    threshold: float,
    truth: Sequence[bool] | None = None,
) -> str:
    """The table as HTML; its probabilities are muted where no call is made on the study.

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
            call_pill(called, seen=span is not None),
        ]
        if truth is not None:
            row.append(_truth_mark(called, truth[j], compared=calls.patient is not None))
        rows.append(row)
    head = ("Level", "Slices", "Fracture probability", "Call", "Truth")
    columns = head[:-1] if truth is None else head
    muted = " lab-no-call" if calls.patient is None else ""
    return html_table(columns, rows, looks=f"lab-vertebrae lab-calls{muted}")


def color_chip(color: str) -> str:
    """A small square as HTML, in front of a name."""
    return f'<span class="lab-chip" style="background:{color}"></span>'


def call_pill(called: bool | None, *, seen: bool) -> str:
    """A call as HTML: "not seen" for a vertebra that is not, "no call" where none is made."""
    if not seen or called is None:
        word = "no call" if seen else "not seen"
        return f'<span class="lab-pill lab-pill-muted">{word}</span>'
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


def _truth_mark(called: bool | None, truth: bool, *, compared: bool) -> str:
    """What is true, and after it, where the call differs, which error that is."""
    word = "fracture" if truth else "none"
    if not compared:
        return word
    if bool(called) == truth:
        return f'<span class="lab-agree" title="agrees">{word}</span>'
    error = "missed" if truth else "false alarm"
    return f'{word} <span class="lab-differ" title="differs">{error}</span>'

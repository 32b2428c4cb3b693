"""Table C1–C7: extent, probability, call and, on request, the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from core.constants import VERTEBRAE
from core.inference.study_scores import Calls, StudyScores
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.session.state import VERTEBRA_THRESHOLD_KEY
from dashboard.widgets.html_table import html_table
from dashboard.widgets.threshold_slider.live_parts import (
    Either,
    live_part,
    live_selector,
    tick_at,
)

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
        span = scores.ranges[j]
        cells = _live_cells(scores, calls, j, threshold, truth)
        rows.append(
            [
                color_chip(VERTEBRA_COLORS[name]) + name,
                "–" if span is None else f"{span[0]}–{span[1]}",
                *(live_part(f"{name}:{part}", html) for part, html in cells.items()),
            ]
        )
    head = ("Level", "Slices", "Fracture probability", "Call", "Truth")
    columns = head[:-1] if truth is None else head
    muted = " lab-no-call" if calls.patient is None else ""
    return html_table(columns, rows, looks=f"lab-vertebrae lab-calls{muted}")


def vertebra_parts(
    scores: StudyScores,
    calls: Calls,
    *,
    threshold: float,
    truth: Sequence[bool] | None = None,
) -> list[Either]:
    """The cells of the table with either call; arguments as for `vertebra_table`."""
    parts: list[Either] = []
    for j, name in enumerate(VERTEBRAE):
        if calls.vertebrae[j] is None:
            continue
        reached, below = (
            _live_cells(scores, _with_call(calls, j, called), j, threshold, truth)
            for called in (True, False)
        )
        prob = float(scores.patient.vertebra_probs[j])
        parts += [
            Either(VERTEBRA_THRESHOLD_KEY, live_selector(f"{name}:{part}"), prob, html, below[part])
            for part, html in reached.items()
        ]
    return parts


def _with_call(calls: Calls, j: int, called: bool) -> Calls:
    vertebrae = (*calls.vertebrae[:j], called, *calls.vertebrae[j + 1 :])
    return replace(calls, vertebrae=vertebrae)


def _live_cells(
    scores: StudyScores, calls: Calls, j: int, threshold: float, truth: Sequence[bool] | None
) -> dict[str, str]:
    """HTML of the cells of a vertebra that depend on its call."""
    called = calls.vertebrae[j]
    cells = {
        "bar": _bar(float(scores.patient.vertebra_probs[j]), threshold, called),
        "call": call_pill(called, seen=scores.ranges[j] is not None),
    }
    if truth is not None:
        cells["truth"] = _truth_mark(called, truth[j], compared=calls.patient is not None)
    return cells


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
        f'<span class="lab-bar-tick" {tick_at(VERTEBRA_THRESHOLD_KEY, threshold)}></span>'
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

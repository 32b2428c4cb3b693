"""The verdict on a study as a card: the call, or why none is made."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Final

from core.inference.verdict import StudyVerdict
from dashboard.session.state import PATIENT_THRESHOLD_KEY
from dashboard.widgets.threshold_slider.live_parts import Either, at_threshold, live_selector

VERDICT_PART: Final = "verdict"
"""Name of the live part that holds the card."""


def verdict_card(verdict: StudyVerdict, *, fractured: bool | None = None) -> str:
    """The card as HTML.

    Args:
        verdict: The verdict.
        fractured: Truth to compare a call with; None to compare nothing.
    """
    called = verdict.calls.patient
    if called is None:
        below = (
            f'<span>{escape(verdict.reason)}</span><span class="lab-muted">The probabilities '
            f"below, and {verdict.prob:.3f} for the patient, say nothing about this scan.</span>"
        )
    else:
        sign = "≥" if called else "<"
        below = (
            f'<span class="lab-prob"><b>{verdict.prob:.3f}</b> probability, {sign} threshold '
            f"{at_threshold(PATIENT_THRESHOLD_KEY, verdict.threshold)}</span>"
        )
        if verdict.uncertainty:
            below += f"<span>{escape(verdict.uncertainty)}</span>"
        below += f'<span class="lab-distribution">{escape(_distribution(verdict))}</span>'
        below += _comparison(called, fractured)
    return (
        f'<section class="lab-verdict lab-{"hot" if called else "calm"}" aria-live="polite">'
        f'<span class="lab-eyebrow">Patient</span><strong class="lab-call">{verdict.headline}'
        f"</strong>{below}</section>"
    )


def verdict_parts(verdict: StudyVerdict, *, fractured: bool | None = None) -> list[Either]:
    """The card with either call; none where no call is made.

    Args:
        verdict: The verdict.
        fractured: As for `verdict_card`.
    """
    if verdict.calls.patient is None:
        return []
    reached, below = (
        verdict_card(
            replace(verdict, calls=replace(verdict.calls, patient=called)), fractured=fractured
        )
        for called in (True, False)
    )
    selector = live_selector(VERDICT_PART)
    return [Either(PATIENT_THRESHOLD_KEY, selector, verdict.prob, reached, below)]


def _distribution(verdict: StudyVerdict) -> str:
    return f"{verdict.distribution[0].upper()}{verdict.distribution[1:]}."


def _comparison(called: bool, fractured: bool | None) -> str:
    if fractured is None:
        return ""
    agrees = fractured == called
    return (
        f'<span class="lab-truth {"lab-agree" if agrees else "lab-differ"}">Truth: '
        f"{'fractured' if fractured else 'not fractured'} – the call "
        f"{'agrees' if agrees else 'differs'}.</span>"
    )

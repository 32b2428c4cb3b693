"""The verdict on a study as a card: the call, or why none is made."""

from __future__ import annotations

from html import escape

from core.inference.verdict import StudyVerdict


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
            f"{verdict.threshold:.3f}</span>"
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

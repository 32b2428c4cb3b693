"""Verdict panel: thresholds, the call for the patient, the table C1–C7, the truth."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.plausibility import check_levels
from core.inference.study_scores import Calls, StudyScores, call
from core.models.operating_points import SavedOperatingPoint, operating_point
from core.models.pairs import BundlePair
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.widgets.vertebra_table import vertebra_table

SUSPECTED, NOT_CALLED = "Fracture suspected", "No fracture called"
UNRELIABLE = "No reliable reading"


def verdict_panel(scores: StudyScores, pair: BundlePair, truth: Sequence[bool] | None) -> None:
    """Show the calls at the current thresholds, and the threshold sliders.

    Args:
        scores: Scores of the networks.
        pair: The networks.
        truth: y_j for C1..C7, compared with the calls; None if unlabelled or hidden.
    """
    patient_point = operating_point(pair.fracture, "patient")
    vertebra_point = operating_point(pair.fracture, "vertebra")
    patient, vertebra = current_thresholds(pair)
    calls = call(scores, patient=patient, vertebra=vertebra)
    st.html(_patient_card(scores, calls, patient, truth))
    _threshold_slider("Patient threshold", state.PATIENT_THRESHOLD_KEY, patient_point)
    st.html(vertebra_table(scores, calls, threshold=vertebra, truth=truth))
    _jump_buttons(scores)
    _threshold_slider("Vertebra threshold", state.VERTEBRA_THRESHOLD_KEY, vertebra_point)
    st.button(
        "Reset to the operating points",
        on_click=state.reset_thresholds,
        icon=":material/restart_alt:",
        disabled=(patient, vertebra) == (patient_point.threshold, vertebra_point.threshold),
        type="tertiary",
    )


def current_thresholds(pair: BundlePair) -> tuple[float, float]:
    """Current patient and vertebra threshold; those of another bundle start at its own points."""
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    state.enter_points(pair.digest, patient=patient.threshold, vertebra=vertebra.threshold)
    return state.thresholds()


def _patient_card(
    scores: StudyScores, calls: Calls, threshold: float, truth: Sequence[bool] | None
) -> str:
    prob = scores.patient.patient_prob
    problems = check_levels(scores).problems
    if problems:
        reasons = "; ".join(problem.text for problem in problems)
        return (
            '<section class="lab-verdict lab-calm" aria-live="polite">'
            f'<span class="lab-eyebrow">Patient</span><strong class="lab-call">{UNRELIABLE}'
            "</strong><span>The levels that the vertebra network sees are not those of one "
            f"cervical spine: {reasons}. The probabilities below, and {prob:.3f} for the patient, "
            "say nothing about this scan.</span></section>"
        )
    tone, words = ("hot", SUSPECTED) if calls.patient else ("calm", NOT_CALLED)
    comparison = ""
    if truth is not None:
        agrees = any(truth) == calls.patient
        comparison = (
            f'<span class="lab-truth {"lab-agree" if agrees else "lab-differ"}">Truth: '
            f"{'fractured' if any(truth) else 'not fractured'} – the call "
            f"{'agrees' if agrees else 'differs'}.</span>"
        )
    return (
        f'<section class="lab-verdict lab-{tone}" aria-live="polite">'
        f'<span class="lab-eyebrow">Patient</span><strong class="lab-call">{words}</strong>'
        f'<span class="lab-prob"><b>{prob:.3f}</b> probability, {"≥" if calls.patient else "<"} '
        f"threshold {threshold:.3f}</span>{comparison}</section>"
    )


def _threshold_slider(label: str, key: str, point: SavedOperatingPoint) -> None:
    st.slider(
        literal(f"{label} · {point.described}"),
        0.0,
        1.0,
        step=0.001,
        format="%.3f",
        key=key,
        persist_state="session",
    )


def _jump_buttons(scores: StudyScores) -> None:
    """Draw buttons to the most suspicious slice of the study and of each visible vertebra."""
    with st.container(key="jumps", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.html('<span class="lab-jump-label">Most suspicious slice</span>', width="content")
        st.button(
            "Study", key="jump_study", on_click=state.go_to_slice, args=(scores.peak_slice,),
            help=f"Slice {scores.peak_slice}",
        )  # fmt: skip
        for j, name in enumerate(VERTEBRAE):
            st.button(
                name, key=f"jump_{name}", on_click=state.go_to_slice, args=(scores.peaks[j],),
                disabled=scores.ranges[j] is None, help=f"Slice {scores.peaks[j]}",
            )  # fmt: skip

"""Verdict panel: thresholds, the call for the patient, the table C1–C7, the truth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import judge
from core.models.operating_points import SavedOperatingPoint, operating_point, shipped_point
from core.models.pairs import BundlePair
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.widgets.threshold_slider.live_parts import live_part, live_parts
from dashboard.widgets.threshold_slider.slider import threshold_slider
from dashboard.widgets.verdict_card import VERDICT_PART, verdict_card, verdict_parts
from dashboard.widgets.vertebra_table import vertebra_parts, vertebra_table


def verdict_panel(scores: StudyScores, pair: BundlePair, truth: Sequence[bool] | None) -> None:
    """Show the calls at the current thresholds, which follow the sliders while they are dragged.

    Args:
        scores: Scores of the networks.
        pair: The networks.
        truth: y_j for C1..C7, compared with the calls; None if unlabelled or hidden.
    """
    patient_point = operating_point(pair.fracture, "patient")
    vertebra_point = operating_point(pair.fracture, "vertebra")
    patient, vertebra = current_thresholds(pair)
    verdict = judge(scores, pair, patient=patient, vertebra=vertebra)
    fractured = None if truth is None else any(truth)
    card = live_part(VERDICT_PART, verdict_card(verdict, fractured=fractured))
    st.html(f'<div aria-live="polite">{card}</div>')
    _threshold_slider("Patient threshold", state.PATIENT_THRESHOLD_KEY, patient_point, pair)
    st.html(vertebra_table(scores, verdict.calls, threshold=vertebra, truth=truth))
    _jump_buttons(scores)
    _threshold_slider("Vertebra threshold", state.VERTEBRA_THRESHOLD_KEY, vertebra_point, pair)
    live_parts(
        "verdict",
        [
            *verdict_parts(verdict, fractured=fractured),
            *vertebra_parts(scores, verdict.calls, threshold=vertebra, truth=truth),
        ],
    )
    _origins(pair, patient_point, vertebra_point)
    moved = (patient, vertebra) != (patient_point.threshold, vertebra_point.threshold)
    with st.container(key="points", horizontal=True, vertical_alignment="center"):
        st.button(
            "Reset", key="points_reset", on_click=state.reset_thresholds, disabled=not moved,
            icon=":material/restart_alt:", type="tertiary", help="Back to the operating points",
        )  # fmt: skip
        with st.popover("Where from?", key="points_origin", type="tertiary"):
            for level, point in (("Patient", patient_point), ("Vertebra", vertebra_point)):
                st.markdown(f"**{level} threshold.** {literal(point.history)}")


def current_thresholds(pair: BundlePair) -> tuple[float, float]:
    """Current patient and vertebra threshold; those of another bundle start at its own points."""
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    state.enter_points(pair.digest, patient=patient.threshold, vertebra=vertebra.threshold)
    return state.thresholds()


def _origins(pair: BundlePair, patient: SavedOperatingPoint, vertebra: SavedOperatingPoint) -> None:
    """State who set the thresholds that are not the shipped ones, and offer those."""
    set_here = [point for point in (patient, vertebra) if point.set_here]
    if not set_here:
        return
    shipped = [shipped_point(pair.fracture, level) for level in ("patient", "vertebra")]
    for name, point in (("Patient", patient), ("Vertebra", vertebra)):
        if point.set_here:
            st.caption(literal(f"{name} threshold: {point.history}"))
    st.button(
        "Use the shipped thresholds", key="points_shipped", icon=":material/inventory_2:",
        on_click=_use, args=tuple(point.threshold for point in shipped),
        help="For this view; the operating points of this installation stay as they are.",
    )  # fmt: skip


def _use(patient: float, vertebra: float) -> None:
    state.remember(state.PATIENT_THRESHOLD_KEY, patient)
    state.remember(state.VERTEBRA_THRESHOLD_KEY, vertebra)


def _threshold_slider(label: str, key: str, point: SavedOperatingPoint, pair: BundlePair) -> None:
    threshold_slider(
        f"{label} · {point.named}", name=key, value=float(state.recall(key)),
        on_release=partial(state.remember, key), source=pair.digest,
    )  # fmt: skip


def _jump_buttons(scores: StudyScores) -> None:
    """Draw buttons to the most suspicious slice of the study and of each visible vertebra."""
    with st.container(key="jumps", horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button(
            "Peak", key="jump_study", on_click=state.go_to_slice, args=(scores.peak_slice,),
            help=f"Most suspicious slice of the study: {scores.peak_slice}",
        )  # fmt: skip
        for j, name in enumerate(VERTEBRAE):
            st.button(
                name, key=f"jump_{name}", on_click=state.go_to_slice, args=(scores.peaks[j],),
                disabled=scores.ranges[j] is None,
                help=f"Most suspicious slice of {name}: {scores.peaks[j]}",
            )  # fmt: skip

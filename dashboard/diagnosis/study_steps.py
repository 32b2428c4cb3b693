"""Buttons to the previous and next study, and to a study with a wrong call."""

from __future__ import annotations

import random

import streamlit as st

from core.errors import CSpineError
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair
from core.types import StudyRecord
from dashboard.session import state
from dashboard.studies.current_set import current_cohort
from dashboard.studies.predictions import stored_scores
from dashboard.widgets.study_picker import StudyChoice

MAX_SEARCHED: int = 400
"""Most studies searched for an error; listing the files of more takes seconds."""


def study_steps(choice: StudyChoice | None, pair: BundlePair | None) -> None:
    """Draw buttons to the previous and the next study and to a random wrong call."""
    if choice is None or choice.record is None:
        return
    cohort = current_cohort()
    ids = [] if cohort is None else [record.study_id for record in cohort.studies]
    if cohort is None or choice.record.study_id not in ids:
        # A study made on demand for a link has no neighbours here.
        return
    place = ids.index(choice.record.study_id)
    with st.container(key="steps", horizontal=True, vertical_alignment="center", gap="small"):
        for name, step, icon in (("Previous", -1, "chevron_left"), ("Next", 1, "chevron_right")):
            there = 0 <= place + step < len(ids)
            st.button(
                name, key=f"step_{name}", icon=f":material/{icon}:", disabled=not there,
                on_click=state.choose_study, args=(ids[place + step] if there else "",),
            )  # fmt: skip
        st.button(
            "Random error", key="random_error", icon=":material/casino:", disabled=pair is None,
            on_click=_go_to_error, args=(list(cohort.studies), choice.record.study_id, pair),
            help="Opens a study that these networks have scored and called wrongly at their "
            "operating point. Score more studies with “Many studies” to find more.",
        )  # fmt: skip
        st.caption(f"Study {place + 1} of {len(ids)}")
    message = state.take_message()
    if message:
        st.info(message, icon=":material/search_off:")


def _go_to_error(records: list[StudyRecord], current: str, pair: BundlePair) -> None:
    threshold = operating_point(pair.fracture, "patient").threshold
    candidates = [r for r in records if r.fractured is not None and r.study_id != current]
    random.shuffle(candidates)
    for record in candidates[:MAX_SEARCHED]:
        try:
            scores = stored_scores(record.folder, pair)
        except CSpineError:
            continue
        if scores is None:
            continue
        if (scores.patient.patient_prob >= threshold) != record.patient_fractured:
            state.choose_study(record.study_id)
            return
    state.leave_message(
        "No other study scored by these networks so far is called wrongly; score more studies "
        "with “Many studies”."
    )

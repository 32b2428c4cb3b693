"""Buttons to the previous and next study, of the data set or of a worklist such as the errors."""

from __future__ import annotations

import random
from typing import Final

import streamlit as st

from core.errors import CSpineError
from core.inference.verdict import judge
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair
from core.types import StudyRecord
from dashboard.session import state
from dashboard.session.urls import PAGES
from dashboard.session.wording import literal
from dashboard.session.worklist import (
    WorkItem,
    Worklist,
    current_worklist,
    go_to_item,
    leave_worklist,
    open_worklist,
)
from dashboard.studies.current_set import current_cohort
from dashboard.studies.predictions import stored_scores
from dashboard.widgets.study_picker import StudyChoice

MAX_SEARCHED: Final = 400
"""Most studies searched for errors; listing the files of more takes seconds."""
_ORIGINS: Final = {"evaluation": "Back to Evaluation", "dataset": "Back to Dataset"}


def study_steps(choice: StudyChoice | None, pair: BundlePair | None) -> None:
    """Draw buttons to the previous and the next study, and to the wrong calls."""
    if choice is None or choice.record is None:
        return
    with st.container(key="steps", horizontal=True, vertical_alignment="center", gap="small"):
        if (worklist := current_worklist()) is not None:
            _steps_of_worklist(worklist, choice.record.study_id)
        else:
            _steps_of_data_set(choice.record.study_id, pair)
    message = state.take_message()
    if message:
        st.info(message, icon=":material/search_off:")


def _steps_of_worklist(worklist: Worklist, current: str) -> None:
    place, last = worklist.place, len(worklist.items) - 1
    for name, to, icon in (
        ("Previous", place - 1, "chevron_left"), ("Next", place + 1, "chevron_right"),
    ):  # fmt: skip
        st.button(
            name, key=f"step_{name}", icon=f":material/{icon}:", disabled=not 0 <= to <= last,
            on_click=go_to_item, args=(to,),
        )  # fmt: skip
    if current != worklist.item.study_id:
        st.button("Back to the list", key="step_back", on_click=go_to_item, args=(place,))
    if worklist.origin in _ORIGINS:
        st.page_link(
            PAGES / f"{worklist.origin}.py", label=_ORIGINS[worklist.origin],
            icon=":material/arrow_back:",
        )  # fmt: skip
    st.button(
        "All studies", key="leave_worklist", type="tertiary", icon=":material/close:",
        on_click=leave_worklist, help="Leaves the list; the study stays open.",
    )  # fmt: skip
    st.caption(
        literal(f"{worklist.title}: {place + 1} of {len(worklist.items)} – {worklist.item.text}")
    )


def _steps_of_data_set(current: str, pair: BundlePair | None) -> None:
    cohort = current_cohort()
    ids = [] if cohort is None else [record.study_id for record in cohort.studies]
    if cohort is None or current not in ids:
        # A study made on demand for a link has no neighbours here.
        return
    place = ids.index(current)
    for name, step, icon in (("Previous", -1, "chevron_left"), ("Next", 1, "chevron_right")):
        there = 0 <= place + step < len(ids)
        st.button(
            name, key=f"step_{name}", icon=f":material/{icon}:", disabled=not there,
            on_click=state.choose_study, args=(ids[place + step] if there else "",),
        )  # fmt: skip
    st.button(
        "Errors", key="errors", icon=":material/rule:", disabled=pair is None,
        on_click=_open_errors, args=(list(cohort.studies), pair),
        help="Lists the studies that these networks have scored and called wrongly at their "
        "operating point, the most confident error first. Score more studies with "
        f"“{state.MANY_STUDIES}” to find more.",
    )  # fmt: skip
    st.caption(f"Study {place + 1} of {len(ids)}")


def _open_errors(records: list[StudyRecord], pair: BundlePair) -> None:
    threshold = operating_point(pair.fracture, "patient").threshold
    found = _errors(records, pair, threshold)
    if not found:
        state.leave_message(
            "No study scored by these networks so far is called wrongly; score more studies with "
            f"“{state.MANY_STUDIES}”."
        )
        return
    title = f"Errors of {pair.fracture.config.name}"
    open_worklist(Worklist(title, tuple(found), "diagnosis", patient=threshold), 0)


def _errors(records: list[StudyRecord], pair: BundlePair, threshold: float) -> list[WorkItem]:
    """Wrong calls among the stored scores, the largest distance from the threshold first."""
    labelled = [record for record in records if record.fractured is not None]
    found: list[tuple[float, WorkItem]] = []
    for record in random.sample(labelled, min(len(labelled), MAX_SEARCHED)):
        try:
            scores = stored_scores(record.folder, pair)
        except CSpineError:
            continue
        if scores is None:
            continue
        verdict = judge(scores, pair, patient=threshold)
        # Where no call is made there is no error either.
        if verdict.calls.patient is not (not record.patient_fractured):
            continue
        kind = "missed" if record.patient_fractured else "false alarm"
        text = f"{kind}, patient score {verdict.prob:.3f}, threshold {threshold:.3f}"
        item = WorkItem(record.study_id, text, scores.peak_slice)
        found.append((abs(verdict.prob - threshold), item))
    return [item for _, item in sorted(found, key=lambda pair: (-pair[0], pair[1].study_id))]

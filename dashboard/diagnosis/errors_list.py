"""Button that lists the studies which the chosen networks call wrongly."""

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
from dashboard.session.worklist import WorkItem, Worklist, current_worklist, open_worklist
from dashboard.studies.cohort import bundle_title
from dashboard.studies.current_set import current_cohort
from dashboard.studies.predictions import stored_scores
from dashboard.widgets.study_picker import StudyChoice

MAX_SEARCHED: Final = 400
"""Most studies searched for errors; listing the files of more takes seconds."""


def errors_button(choice: StudyChoice | None, pair: BundlePair | None) -> None:
    """Draw a button that lists the studies which these networks call wrongly.

    Args:
        choice: The study on show; only those of a data set have neighbours to list.
        pair: The networks; None if there are none.
    """
    cohort = current_cohort() if choice is not None and choice.record is not None else None
    if cohort is None or current_worklist() is not None:
        return
    st.button(
        "Errors", key="errors", icon=":material/rule:", disabled=pair is None,
        on_click=_open_errors, args=(list(cohort.studies), pair),
        help="Lists the studies that these networks have scored and called wrongly at their "
        "operating point, the most confident error first. Score more studies with "
        f"“{state.MANY_STUDIES}” to find more.",
    )  # fmt: skip


def errors_message() -> None:
    """Show why there was no error to list, if the button was just pressed."""
    if message := state.take_message():
        st.info(message, icon=":material/search_off:")


def _open_errors(records: list[StudyRecord], pair: BundlePair) -> None:
    threshold = operating_point(pair.fracture, "patient").threshold
    found = _errors(records, pair, threshold)
    if not found:
        state.leave_message(
            "No study scored by these networks so far is called wrongly; score more studies with "
            f"“{state.MANY_STUDIES}”."
        )
        return
    title = f"Errors of {bundle_title(pair.fracture)}"
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

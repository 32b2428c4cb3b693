"""One case on the screen of a reader: the scan without names, the question, the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from core.constants import VERTEBRAE
from core.dataset.true_boxes import boxes_on_volume
from core.errors import CSpineError
from core.reader_study.box_hits import boxes_right
from core.reader_study.design import is_helped
from core.reader_study.records import CALLED_FROM, RATINGS, MarkedBox, drafted_answer
from core.types import BoxPrediction, StudyId
from dashboard.reader_study.box_drawing import box_drawing, drawn_boxes
from dashboard.reader_study.help_card import help_card
from dashboard.reader_study.model_scores import case_folder
from dashboard.reader_study.place import ReaderPlace, forget_place, leave_problem, show_problem
from dashboard.reader_study.services import has_ended, keep_answer, open_case
from dashboard.session import state, viewer_place
from dashboard.session.wording import duration
from dashboard.studies.on_screen import put_on_screen
from dashboard.studies.open_study import OpenStudy, open_study
from dashboard.studies.synthetic_studies import study_record
from dashboard.widgets.frame import blank
from dashboard.widgets.notices import show_error
from dashboard.widgets.palette import CURRENT
from dashboard.widgets.slice_viewer.overlays import BoxOverlay
from dashboard.widgets.slice_viewer.viewer import slice_viewer

_VIEWER = "reader_viewer"
_LATE_S = 0.5
"""The page is drawn again this long after the time is over, so that it is over by then."""
_EVERY_S = 10.0


def read_case(place: ReaderPlace, case: int) -> None:
    """Draw the case whose turn it is.

    Args:
        place: Of the reader.
        case: Index of the case.
    """
    show_problem()
    try:
        with st.spinner("Opening the scan …"):
            study = open_study(case_folder(place.study, case))
        put_on_screen(study)
        # Time begins once the scan is there.
        began = open_case(place.study.code, place.token, case)
    except CSpineError as error:
        show_error(error)
        st.button("Try again", key="reader_again", icon=":material/replay:")
        return
    st.fragment(_bench)(place, case, study, began)


def _bench(place: ReaderPlace, case: int, study: OpenStudy, began: datetime) -> None:
    slot = _slot(place, case)
    if state.recall(_answered(slot)):
        # Set by the button's callback: the next case is outside this fragment.
        state.remember(_answered(slot), False)
        st.rerun(scope="app")
    limit = place.study.limit_s
    left = None if limit is None else limit - (datetime.now(UTC) - began).total_seconds()
    with st.container(key="reader_bench"):
        picture, question = st.columns([16, 9], gap="medium")
        with picture:
            _picture(study, slot, over=left is not None and left <= 0)
        with question:
            _heading(place, left)
            if is_helped(place.study, place.log.number, case) and place.study.model is not None:
                help_card(place.study.model, case)
            _question(place, case, study)


def _picture(study: OpenStudy, slot: str, *, over: bool) -> None:
    if over:
        blank("The time for this scan is over. Give your answer now.")
        return
    mine = [BoxPrediction(box.xyxy, box.slice_index) for box in drawn_boxes(slot)]
    slice_viewer(
        study,
        key=_VIEWER,
        panes=("axial", "sagittal"),
        overlays=[BoxOverlay("My boxes", mine, CURRENT)],
    )
    if (state.recall(_rating_key(slot)) or 0) >= CALLED_FROM:
        box_drawing(study, slot, viewer_place.shown_slice(_VIEWER))


def _heading(place: ReaderPlace, left: float | None) -> None:
    done, total = len(place.log.answers), len(place.study.cases)
    st.html(
        f'<div class="lab-panel-title">Case {done + 1} of {total}<span>You are reader '
        f"{place.log.number}.</span></div>"
    )
    over = left is not None and left <= 0
    every = _EVERY_S if left is None or over else min(left + _LATE_S, _EVERY_S)
    st.fragment(_watch, run_every=every)(place, None if over else left, time.monotonic())
    if left is None:
        return
    limit = place.study.limit_s or 1
    if over:
        st.html('<div class="lab-countdown" role="timer">Time is over</div>')
        return
    st.html(
        f'<div class="lab-countdown" role="timer"><i style="animation-duration:{limit}s;'
        f'animation-delay:-{limit - left:.1f}s"></i><span>{duration(limit)} for each scan</span>'
        "</div>"
    )


def _watch(place: ReaderPlace, left: float | None, since: float) -> None:
    """Draw the page again once time or study are over; the bar itself runs in the browser."""
    over = left is not None and time.monotonic() - since >= left
    if over or has_ended(place.study.code, place.token):
        st.rerun(scope="app")


def _question(place: ReaderPlace, case: int, study: OpenStudy) -> None:
    slot = _slot(place, case)
    st.radio(
        "Is the cervical spine fractured?",
        range(1, len(RATINGS) + 1),
        format_func=lambda rating: RATINGS[rating - 1].capitalize(),
        index=None,
        key=_rating_key(slot),
    )
    rating = state.recall(_rating_key(slot))
    if (rating or 0) >= CALLED_FROM:
        st.pills(
            "Which vertebrae?", VERTEBRAE, selection_mode="multi", key=_vertebrae_key(slot),
            help="As many as you think are fractured; none if you cannot tell.",
        )  # fmt: skip
        n = len(drawn_boxes(slot))
        st.caption(f"Boxes drawn: {n}. They are optional; draw them below the scan.")
    st.button(
        "Answer and go on", key=f"reader_answer_{slot}", type="primary", width="stretch",
        icon=":material/arrow_forward:", disabled=rating is None,
        on_click=partial(_answer, place, case, study),
        help="An answer cannot be changed afterwards.",
    )  # fmt: skip
    with st.popover("Leave", type="tertiary"):
        st.caption("What you answered stays. To come back, keep the address of this page.")
        st.button("Leave the study", key="reader_leave", on_click=forget_place)


def _answer(place: ReaderPlace, case: int, study: OpenStudy) -> None:
    """Keep what the reader entered; called before the page is drawn again."""
    slot = _slot(place, case)
    rating = state.recall(_rating_key(slot)) or 0
    called = rating >= CALLED_FROM
    boxes = drawn_boxes(slot) if called else ()
    try:
        draft = drafted_answer(
            rating=rating,
            vertebrae=tuple(state.recall(_vertebrae_key(slot)) or ()) if called else (),
            boxes=boxes,
            boxes_right=_hits(place, case, study, boxes),
        )
        keep_answer(place.study.code, place.token, case, draft)
    except CSpineError as error:
        leave_problem(error)
    state.remember(_answered(slot), True)


def _hits(place: ReaderPlace, case: int, study: OpenStudy, boxes: tuple[MarkedBox, ...]) -> int:
    """Number of boxes on a true one; 0 where the data set has lost the study's table."""
    if not boxes:
        return 0
    try:
        record = study_record(StudyId(place.study.cases[case].study_id), place.study.root)
    except CSpineError:
        return 0
    return boxes_right(boxes, boxes_on_volume(record.boxes, study.volume))


def _slot(place: ReaderPlace, case: int) -> str:
    """Part of the keys of a case's widgets: a session may take part in several studies."""
    return f"{place.study.code}_{case}"


def _rating_key(slot: str) -> str:
    return f"reader_rating_{slot}"


def _vertebrae_key(slot: str) -> str:
    return f"reader_vertebrae_{slot}"


def _answered(slot: str) -> str:
    return f"_reader_answered_{slot}"

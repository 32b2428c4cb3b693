"""The part of lecturers: make a reader study, follow it, end it, see and export its results."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.errors import CSpineError
from core.reader_study.records import ReaderStudy
from dashboard.reader_study.model_scores import (
    find_scoring,
    offered_models,
    pair_of,
    start_scoring,
)
from dashboard.reader_study.new_study import new_study
from dashboard.reader_study.place import CODE
from dashboard.reader_study.results_view import results_view
from dashboard.reader_study.services import (
    delete_study,
    open_progress,
    open_results,
    open_studies,
    stop_study,
    write_answers,
)
from dashboard.session import state
from dashboard.session.access import may_browse, may_change
from dashboard.session.urls import page_url
from dashboard.session.wording import literal
from dashboard.widgets.job_status import job_progress, poll
from dashboard.widgets.notices import show_error, show_warning

_CHOSEN, _PROBLEM = "lecturer_study", "_lecturer_problem"
_EVERY_S = 5.0
_HELP = {
    "without": "without the model's help", "with": "with the model's help",
    "crossover": "crossover: half of the cases with help",
}  # fmt: skip


def lecturer_panel() -> None:
    """Draw the part of lecturers; nothing for others."""
    if not may_browse():
        return
    st.html('<h2 class="lab-plain">For lecturers</h2>')
    if problem := state.recall(_PROBLEM):
        show_error(problem)
        state.remember(_PROBLEM, None)
    try:
        studies = {study.code: study for study in open_studies()}
    except CSpineError as error:
        show_error(error)
        return
    if may_change():
        new_study(expanded=not studies, made=partial(state.remember, _CHOSEN))
    if not studies:
        st.caption("No reader study has been made here yet.")
        return
    if state.recall(_CHOSEN) not in studies:
        state.remember(_CHOSEN, next(iter(studies)))
    chosen = st.selectbox(
        "Reader study", list(studies), format_func=lambda code: _label(studies[code]),
        key=_CHOSEN,
    )  # fmt: skip
    _study(studies[chosen])


def _label(study: ReaderStudy) -> str:
    standing = "ended" if study.ended else "open" if study.is_ready else "being prepared"
    return f"{study.title} · {study.code} · {standing}"


def _study(study: ReaderStudy) -> None:
    about, buttons = st.columns([3, 2], gap="large")
    with about:
        st.html(f'<div class="lab-code" aria-label="Code">{study.code}</div>')
        fractured = sum(case.patient for case in study.cases)
        limit = "no time limit" if study.limit_s is None else f"{study.limit_s} s for each scan"
        order = "in one order" if study.order == "same" else "in an order of their own"
        st.caption(
            literal(
                f"{len(study.cases)} cases, {fractured} of them fractured; readers go through them "
                f"{order}, {_HELP[study.help]}; {limit}; seed {study.seed}."
            )
        )
        if study.ended is None:
            link = page_url("reader_study", **{CODE: study.code})
            st.markdown(f"Readers type the code on this page, or open [this link]({link}).")
    with buttons:
        _buttons(study)
    _scoring(study)
    if study.ended is None:
        st.fragment(_progress, run_every=_EVERY_S)(study)
    if study.ended is not None or st.toggle(
        "Show the results so far", key=f"lecturer_peek_{study.code}",
        help="The readers see nothing of them until the study has ended.",
    ):  # fmt: skip
        _results(study)


def _buttons(study: ReaderStudy) -> None:
    if may_change() and study.ended is None:
        st.button(
            "End and show the results", key="lecturer_end", type="primary", width="stretch",
            icon=":material/flag:", on_click=_act, args=(stop_study, study.code),
            help="No more answers are taken, and every reader sees the results.",
        )  # fmt: skip
    try:
        st.download_button(
            "Answers as CSV", write_answers(study.code), f"reader_study_{study.code}.csv",
            "text/csv", key="lecturer_csv", icon=":material/download:", width="stretch",
            on_click="ignore",
        )  # fmt: skip
    except CSpineError as error:
        show_error(error)
    if may_change():
        with st.popover("Delete", icon=":material/delete:", width="stretch"):
            st.write("Delete this reader study with all answers? This cannot be undone.")
            st.button(
                "Delete everything", key="lecturer_delete", type="primary",
                on_click=_act, args=(delete_study, study.code),
            )  # fmt: skip


def _act(action: Callable[[str], None], code: str) -> None:
    """Do what a button says; called before the page is drawn again."""
    try:
        action(code)
    except CSpineError as error:
        state.remember(_PROBLEM, str(error))


def _scoring(study: ReaderStudy) -> None:
    """Show the run that scores the cases, or offer it while the model's scores are missing."""
    if study.model is not None:
        return
    job = find_scoring(study)
    if job is not None and not job.finished:
        poll(
            lambda: job_progress(
                find_scoring(study), "The model scores case {next} of {total}",
                starting="Loading the networks …",
                note="" if study.help == "without" else "Readers can join after that.",
            )
        )  # fmt: skip
        return
    if job is not None and job.error is not None:
        show_error(job.error)
    models = {bundle.folder.name: bundle for bundle in offered_models()}
    if not models or not may_change():
        show_warning("The model has not scored these cases, so it is not compared with.")
        return
    st.button(
        "Score the cases with the model", key="lecturer_score", icon=":material/neurology:",
        on_click=_score, args=(study,),
        help="Its scores are compared with the readers, and shown to those who get help.",
    )  # fmt: skip


def _score(study: ReaderStudy) -> None:
    pair = pair_of(offered_models()[0])
    if pair is not None:
        start_scoring(study, pair)


def _progress(study: ReaderStudy) -> None:
    try:
        logs = open_progress(study.code)
    except CSpineError as error:
        show_error(error)
        return
    given, all_answers = sum(len(log.answers) for log in logs), len(logs) * len(study.cases)
    finished = sum(log.next_case is None for log in logs)
    readers = "1 reader" if len(logs) == 1 else f"{len(logs)} readers"
    st.progress(
        given / all_answers if all_answers else 0.0,
        text=f"{readers}, {finished} finished; {given} of {all_answers} answers",
    )


def _results(study: ReaderStudy) -> None:
    try:
        results = open_results(study.code)
    except CSpineError as error:
        show_error(error)
        return
    if results is None:
        st.caption("No reader has answered a case yet.")
        return
    results_view(results, study)

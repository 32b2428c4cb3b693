"""What a reader sees who has nothing to read: before the model is there, after the last case."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.errors import CSpineError
from dashboard.reader_study.place import ReaderPlace, forget_place, show_problem
from dashboard.reader_study.results_view import results_view
from dashboard.reader_study.services import has_ended, open_own_results
from dashboard.widgets.frame import blank
from dashboard.widgets.notices import show_error

_EVERY_S = 4.0


def wait_for_the_end(place: ReaderPlace) -> None:
    """Say what the reader waits for, and draw the page again once the study has ended."""
    show_problem()
    blank(
        f"You have answered all {len(place.study.cases)} cases. The results appear here as soon as "
        "your lecturer ends the reader study."
    )
    st.fragment(_watch, run_every=_EVERY_S)(place)
    _leave()


def own_results(place: ReaderPlace) -> None:
    """Draw the results of a study that has ended, with the reader's own."""
    show_problem()
    try:
        results = open_own_results(place.study.code, place.token)
    except CSpineError as error:
        show_error(error)
        return
    if results is None:
        blank("The reader study ended before anybody answered a case.")
    else:
        results_view(results, place.study, own=place.log.number)
    _leave()


def _watch(place: ReaderPlace) -> None:
    if has_ended(place.study.code, place.token):
        st.rerun(scope="app")


def _leave() -> None:
    st.button(
        "Leave the study", key="reader_leave", type="tertiary", icon=":material/logout:",
        on_click=partial(forget_place),
    )  # fmt: skip

"""Choice of a series on a DICOM server: search, choose, fetch."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.dicomweb.search import FoundSeries, FoundStudy, StudyPage, StudyQuery
from core.errors import CSpineError
from dashboard.session import state
from dashboard.session.settings import settings
from dashboard.studies.dicom_servers import (
    offered_servers,
    search_server,
    search_study,
    start_fetch,
)
from dashboard.studies.held_uploads import hold_uploads
from dashboard.studies.upload_jobs import UploadJob
from dashboard.widgets.frame import blank
from dashboard.widgets.notices import show_error
from dashboard.widgets.upload_outcome import upload_outcome

T = TypeVar("T")

_SEARCH: Final = "_server_search"


@dataclass(slots=True)
class _Search:
    """One search of a session.

    Attributes:
        server: Name of the server.
        query: What was searched for.
        number: Page of the list, from 0.
        page: The studies of that page.
        series: The series of studies that were chosen, by study.
    """

    server: str
    query: StudyQuery
    number: int
    page: StudyPage
    series: dict[str, tuple[FoundSeries, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A series that a session fetches.

    Attributes:
        server: Name of the server.
        upload: The work.
    """

    server: str
    upload: UploadJob


def server_panel(messages: DeltaGenerator) -> Path | None:
    """Let an operator fetch a series from a DICOM server; its folder once it has been read.

    Args:
        messages: Container for progress and errors.
    """
    _search_form(offered_servers())
    search: _Search | None = state.recall(_SEARCH)
    if search is not None:
        _results(search)
    fetched: Fetched | None = state.recall(state.FETCH_KEY)
    with messages:
        if fetched is None or fetched.upload.removed:
            blank(
                "Search a DICOM server above, choose a study, and fetch one of its CT series. Only "
                "this browser session can see it, until the next one or the end of the session."
            )
            return None
        return upload_outcome(fetched.upload, "Fetch it again, or choose another one.")


def fetched_from() -> str | None:
    """Name of the server that the session's series comes from; None if it fetched none."""
    fetched: Fetched | None = state.recall(state.FETCH_KEY)
    return None if fetched is None else fetched.server


def _search_form(servers: list[str]) -> None:
    with st.form("server_form", border=False):
        server = st.selectbox("Server", servers, key="server_name", persist_state="session")
        patient = st.text_input(
            "Patient ID", key="server_patient", help="Empty for any; * stands for any text.",
            persist_state="session",
        )  # fmt: skip
        days: tuple[date, ...] = st.date_input(
            "Study date, first and last", value=[], key="server_days"
        )
        asked = st.form_submit_button("Search", icon=":material/search:")
    if asked:
        first = days[0] if days else None
        _look(server, StudyQuery(patient, first, days[1] if len(days) > 1 else first), 0)


def _look(server: str, query: StudyQuery, number: int) -> None:
    """Search, and remember what was found; an error is shown and leaves what was there."""
    page = _asked(lambda: search_server(server, query, number))
    if page is not None:
        state.remember(_SEARCH, _Search(server, query, number, page))


def _results(search: _Search) -> None:
    if not search.page.studies:
        st.caption("No CT study found; search for another patient or another day.")
        return
    study = st.selectbox(
        f"Study on {search.server}", search.page.studies, format_func=_described, key="server_study"
    )
    _pages(search)
    if study.uid not in search.series:
        found = _asked(lambda: search_study(search.server, study.uid))
        if found is None:
            return
        search.series[study.uid] = found
    series = st.selectbox(
        "CT series", search.series[study.uid], format_func=_named, key="server_series"
    )
    if st.button("Fetch", type="primary", icon=":material/download:", key="server_fetch"):
        _fetch(search.server, series)


def _pages(search: _Search) -> None:
    if not search.number and not search.page.more:
        return
    with st.container(horizontal=True):
        for label, step, offered in (
            ("Earlier in the list", -1, search.number > 0),
            ("Later in the list", 1, search.page.more),
        ):
            if st.button(label, disabled=not offered, key=f"server_page{step}"):
                _look(search.server, search.query, search.number + step)
                st.rerun()


def _fetch(server: str, series: FoundSeries) -> None:
    session = state.session_name()
    hold_uploads(session)
    upload = _asked(
        lambda: start_fetch(uuid.uuid4().hex, server, series, session=session, settings=settings())
    )
    if upload is not None:
        state.remember(state.FETCH_KEY, Fetched(server, upload))


def _asked(question: Callable[[], T]) -> T | None:
    """Ask a server while the page says so; None after an error, which is shown."""
    try:
        with st.spinner("Asking the server …", show_time=True):
            return question()
    except CSpineError as error:
        show_error(error, icon=":material/dns:")
        return None


def _described(study: FoundStudy) -> str:
    parts = (study.date, study.patient_id, study.description, f"UID …{study.uid[-8:]}")
    return " · ".join(part for part in parts if part)


def _named(series: FoundSeries) -> str:
    images = f"{series.images:,} images" if series.images else "unknown number of images"
    return " · ".join(part for part in (series.description, images) if part)

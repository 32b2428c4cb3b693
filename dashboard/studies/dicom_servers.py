"""Studies on DICOM servers: found, fetched like an upload, and results sent back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from core.config import Settings
from core.dicomweb.retrieve import fetch_series
from core.dicomweb.search import (
    FoundSeries,
    StudyPage,
    StudyQuery,
    search_series,
    search_studies,
)
from core.dicomweb.servers import find_server, server_names
from core.dicomweb.store import send_objects
from core.errors import DicomWebError
from core.types import Progress
from dashboard.background.budget import SENDINGS
from dashboard.background.job import Job
from dashboard.background.thread_jobs import JobPool
from dashboard.session.access import check_allowed, may_browse
from dashboard.session.session_end import whose
from dashboard.session.settings import settings
from dashboard.studies.upload_jobs import UploadJob, start_storing
from dashboard.studies.uploads import fresh_folder, within_quota

FETCH_STAGE: Final = ("Fetching", "image")
_FOLDER: Final = "series"


def offered_servers() -> list[str]:
    """Names of the servers that the user may search.

    Raises:
        ConfigError: The allow-list is malformed.
    """
    return server_names(settings()) if may_browse() else []


def search_server(name: str, query: StudyQuery, page: int) -> StudyPage:
    """Search a server for CT studies; arguments as for `search_studies`.

    Raises:
        ConfigError, DicomWebError: The user may not, or as for `find_server` and `search_studies`.
    """
    check_allowed("browse", DicomWebError, "to search a DICOM server")
    return search_studies(find_server(settings(), name), query, page)


def search_study(name: str, study_uid: str) -> tuple[FoundSeries, ...]:
    """Find the CT series of a study, the one with most images first.

    Raises:
        ConfigError, DicomWebError: As for `search_server`.
    """
    check_allowed("browse", DicomWebError, "to search a DICOM server")
    return search_series(find_server(settings(), name), study_uid)


def start_fetch(
    key: str, name: str, series: FoundSeries, *, session: str, settings: Settings
) -> UploadJob:
    """Fetch a series in the background and read it as an upload of the session.

    Args:
        key: Name of the work; each is done once.
        name: The server's.
        series: What to fetch.
        session: Session of the browser that asks; only it may see the study.
        settings: Servers, upload folder and size limits.

    Raises:
        ConfigError, DicomWebError: The user may not, or there is no such server.
    """
    check_allowed("browse", DicomWebError, "to fetch from a DICOM server")
    server = find_server(settings, name)

    def store(progress: Progress) -> Path:
        with fresh_folder(session, settings) as target:
            fetch_series(
                server,
                series,
                target / _FOLDER,
                max_mib=settings.max_upload_mib,
                progress=within_quota(session, settings, progress),
            )
        return target

    return start_storing(key, store, FETCH_STAGE, session=session, settings=settings)


def start_sending(
    key: str, name: str, make: Callable[[], Sequence[bytes]], *, owner: str | None
) -> Job[int]:
    """Make objects and store them on a server, in the background.

    Args:
        key: Name of the work.
        name: The server's.
        make: Makes the objects, as DICOM files.
        owner: The only session that may see the study; None if every session may.

    Returns:
        The job; its result is the number of objects.

    Raises:
        ConfigError, DicomWebError: The user may not, or there is no such server.
    """
    check_allowed("change", DicomWebError, "to send results to a DICOM server")
    server = find_server(settings(), name)

    def work(progress: Progress) -> int:
        progress(0, 0)
        objects = make()
        send_objects(server, objects, progress)
        return len(objects)

    return sendings().submit(key, work, **whose(owner))


@st.cache_resource(show_spinner=False)
def sendings() -> JobPool:
    """The pool of `start_sending`."""
    return JobPool("sendings", SENDINGS)

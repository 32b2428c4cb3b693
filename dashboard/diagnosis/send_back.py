"""Results of a study are sent to a DICOM server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import streamlit as st

from core.errors import CSpineError
from dashboard.background.job import Job
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.studies.dicom_servers import offered_servers, start_sending
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.job_status import job_progress, poll
from dashboard.widgets.notices import show_error, show_success
from dashboard.widgets.server_panel import fetched_from

_KEY = "_sending"


def send_back(study: OpenStudy, make: Callable[[], Sequence[bytes]]) -> None:
    """Offer to send results to a DICOM server; nothing where there is none, or without the right.

    Args:
        study: The study.
        make: Makes the objects, as DICOM files.
    """
    try:
        servers = offered_servers() if may_change() else []
    except CSpineError:
        return  # The choice of a study shows it.
    if not servers:
        return
    before = fetched_from()
    with st.popover("Send to a DICOM server", icon=":material/send:"):
        st.caption(
            "Stores the DICOM objects in the study's place on the server, marked as research and "
            "unverified. They can be removed only there."
        )
        server = st.selectbox(
            "Server", servers, index=servers.index(before) if before in servers else 0,
            key="send_server",
        )  # fmt: skip
        if st.button("Send", type="primary", key="send_results"):
            _start(study, server, make)
    place, server, job = state.recall(_KEY, ("", "", None))
    if place == study.fingerprint and job is not None:
        _outcome(server, job)


def _start(study: OpenStudy, server: str, make: Callable[[], Sequence[bytes]]) -> None:
    try:
        job = start_sending(uuid.uuid4().hex, server, make, owner=study.owner)
    except CSpineError as error:
        show_error(error, icon=":material/send:")
        return
    state.remember(_KEY, (study.fingerprint, server, job))


def _outcome(server: str, job: Job[int]) -> None:
    if not job.finished:
        poll(lambda: _progress(job))
    elif job.error is not None:
        show_error(job.error, icon=":material/send:")
    else:
        show_success(f"{job.result()} DICOM objects are stored on {server}.")


def _progress(job: Job[int]) -> bool:
    return job_progress(
        job, "Sending, object {next} of {total} …", starting="Making the DICOM objects …",
        cancel=job.cancel, key="send_cancel", cancel_help="Objects that were sent stay there.",
    )  # fmt: skip

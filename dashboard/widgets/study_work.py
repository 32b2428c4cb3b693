"""Work on the study on the screen: started by itself, with progress, cancelled by a button."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from dashboard.background.job import Job
from dashboard.session import state
from dashboard.widgets.job_status import failed, job_progress, poll

_CANCELLED: Final = "_cancelled_work"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class StudyWork:
    """Work on a study.

    Attributes:
        key: Key of its buttons.
        place: Names the study and the networks.
        icon: Icon of a message of failure.
        find: The job, if there is one.
        start: Starts the job, or joins the one that runs.
        stop: Ends the job for this session.
        counted: As for `job_progress`.
        starting: As for `job_progress`.
        cancelled: Sentence on what is missing after a cancellation.
        again: Label of the button that starts the work after a cancellation.
        note: As for `job_progress`.
    """

    key: str
    place: str
    icon: str
    find: Callable[[], Job[Any] | None]
    start: Callable[[], Job[Any]]
    stop: Callable[[], None]
    counted: str
    starting: str
    cancelled: str
    again: str
    note: str = ""


def study_work(work: StudyWork) -> None:
    """Start the work unless it was cancelled, and show its progress; redraw the page at its end."""
    if failed(work.find(), icon=work.icon, key=f"{work.key}_again"):
        return
    if work.place in _cancelled():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(work.cancelled)
            st.button(
                work.again, key=f"{work.key}_resume", icon=":material/play_circle:",
                on_click=allow, args=(work.place,),
            )  # fmt: skip
        return
    job = work.start()
    # Streamlit keeps callbacks for a while after the session: they must not keep its voxels.
    place, shown = work.place, weakref.ref(work)

    def cancel() -> None:
        _cancelled().add(place)
        if (known := shown()) is not None:
            known.stop()

    poll(
        lambda: work.place not in _cancelled()
        and job_progress(
            job, work.counted, starting=work.starting, note=work.note, cancel=cancel,
            key=f"{work.key}_cancel",
        )
    )  # fmt: skip


def allow(place: str) -> None:
    """Let the work at `StudyWork.place` start again after a cancellation; for callbacks."""
    _cancelled().discard(place)


def _cancelled() -> set[str]:
    if state.recall(_CANCELLED) is None:
        state.remember(_CANCELLED, set())
    return state.recall(_CANCELLED)

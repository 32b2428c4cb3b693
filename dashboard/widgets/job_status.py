"""Background work on a page: its place in line, how far it is, what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import streamlit as st

from core.errors import CSpineError
from dashboard.background.process_tasks import Task, cancel_task
from dashboard.background.thread_jobs import Job
from dashboard.session.access import may_change
from dashboard.session.wording import duration, place_in_line
from dashboard.widgets.notices import show_error

POLL_SECONDS = 0.5


class Watched(Protocol):
    """Work that can be watched, in a thread or in a process of its own."""

    @property
    def done(self) -> int:
        """Steps finished."""
        ...

    @property
    def total(self) -> int:
        """Steps in all; 0 until that is known."""
        ...

    @property
    def place(self) -> int:
        """Work that comes first."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        ...

    @property
    def seconds_left(self) -> float | None:
        """Time to go at the pace so far; None before there is a pace."""
        ...


def poll(draw: Callable[[], bool], every: float | None = POLL_SECONDS) -> None:
    """Draw a part of the page again and again, and the whole page once its work has ended.

    Args:
        draw: Draws the part; whether the work goes on.
        every: Seconds between two drawings; None for no more than one.
    """
    st.fragment(_drawn, run_every=every)(draw)


def _drawn(draw: Callable[[], bool]) -> None:
    if not draw():
        st.rerun(scope="app")


def job_progress(
    job: Watched | None,
    counted: str,
    *,
    starting: str,
    note: str = "",
    stage: tuple[int, int] = (0, 1),
    cancel: Callable[[], None] | None = None,
    key: str | None = None,
    cancel_help: str | None = None,
) -> bool:
    """Draw how far a job is, for `poll`; whether it goes on.

    Args:
        job: The work; None where it is gone.
        counted: What has been done, with `{done}`, `{next}` and `{total}` for the numbers.
        starting: Shown before the first step is counted.
        note: A sentence on what can be done meanwhile.
        stage: Index of the stage that is counted, and how many stages of equal length there are.
        cancel: Called by a button; None for no button.
        key: Of the button.
        cancel_help: Of the button.
    """
    if job is None or job.finished:
        return False
    share = 0.0
    if job.place:
        text = place_in_line(job.place)
    elif not job.total:
        text, note = starting, ""
    else:
        share = min(job.done / job.total, 1.0)
        step = min(job.done + 1, job.total)
        text = counted.format(done=f"{job.done:,}", next=f"{step:,}", total=f"{job.total:,}")
        if (left := job.seconds_left) is not None:
            text += f" · about {duration(max(left, 1))} left"
    if note:
        text = f"{text.removesuffix('.')}. {note}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress((stage[0] + share) / stage[1], text=text)
        if cancel is not None:
            st.button(
                "Cancel", icon=":material/stop_circle:", key=key, on_click=cancel, help=cancel_help
            )
    return True


def task_progress(task: Task | None, title: str) -> bool:
    """Draw how far a process is, with a button that cancels it; whether it goes on.

    Args:
        task: As it stands now; None where it is gone.
        title: What it does.
    """

    def cancel() -> None:
        try:
            if task is not None:
                cancel_task(task)
        except CSpineError as error:
            show_error(error)

    return job_progress(
        task, f"{title}: {{done}} of {{total}} studies", starting=f"{title}: starting …",
        cancel=cancel if may_change() else None, key=task and f"cancel_{task.folder.name}",
        cancel_help="Studies that are finished stay.",
    )  # fmt: skip


def failed(job: Job[Any] | None, *, icon: str, key: str) -> bool:
    """Show why a job failed and offer another try; whether it failed.

    Args:
        job: The work; None where there is none.
        icon: Of the message.
        key: Of the button.
    """
    if job is None or job.error is None:
        return False
    show_error(job.error, icon=icon)
    st.button("Try again", key=key, on_click=job.forget, icon=":material/replay:")
    return True

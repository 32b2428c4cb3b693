"""Background work on a page: its place in the queue, its progress, its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import CSpineError
from dashboard.background.job import Job
from dashboard.background.process_tasks import Task, cancel_task
from dashboard.session.access import may_change
from dashboard.session.wording import place_in_line, time_left
from dashboard.widgets.notices import show_error

POLL_SECONDS = 0.5
Watched = Job[Any] | Task
"""Background work, in a thread or in a separate process."""


def poll(draw: Callable[[], bool], every: float | None = POLL_SECONDS) -> None:
    """Redraw a part of the page periodically, and the whole page once its work has ended.

    Args:
        draw: Draws the part; returns whether the work goes on.
        every: Seconds between two drawings; None draws once.
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
    """Draw the progress of a job, for `poll`; return whether it goes on.

    Args:
        job: The job; None if it does not exist any more.
        counted: Text with `{done}`, `{next}` and `{total}` for the numbers.
        starting: Text before the first step is counted.
        note: Sentence on what can be done meanwhile.
        stage: Index of the counted stage, and the number of stages of equal length.
        cancel: Called by the cancel button; None for no button.
        key: Key of the button.
        cancel_help: Help text of the button.
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
        if job.is_stalled:
            text += " · stalled: this step takes far longer than the others"
        elif (left := job.seconds_left) is not None:
            text += f" · {time_left(left)}"
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
    """Draw the progress of a process, with a cancel button; return whether it goes on.

    Args:
        task: The current task; None if it does not exist any more.
        title: What the task does.
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
        cancel_help="Finished studies are kept.",
    )  # fmt: skip


def failed(job: Job[Any] | None, *, icon: str, key: str) -> bool:
    """Show why a job failed and offer to try again; return whether it failed.

    Args:
        job: The job; None if there is none.
        icon: Icon of the message.
        key: Key of the button.
    """
    if job is None or job.error is None:
        return False
    show_error(job.error, icon=icon)
    st.button("Try again", key=key, on_click=job.forget, icon=":material/replay:")
    return True

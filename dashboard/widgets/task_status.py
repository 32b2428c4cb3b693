"""How far a background task is, with the time left and a button that cancels it."""

from __future__ import annotations

import streamlit as st

from core.errors import CSpineError
from dashboard.background import process_tasks
from dashboard.session.access import may_change
from dashboard.session.wording import duration
from dashboard.widgets.notices import show_error


def task_progress(task: process_tasks.Task, title: str) -> None:
    """Show a task that is at work.

    Args:
        task: As it stands now.
        title: What it does.
    """
    left = task.seconds_left
    if not task.total:
        text = f"{title}: starting …"
    else:
        text = f"{title}: {task.done:,} of {task.total:,} studies"
        text += "" if left is None else f" · about {duration(left)} left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(task.share_done, text=text)
        if may_change():
            st.button(
                "Cancel", icon=":material/stop_circle:", key=f"cancel_{task.folder.name}",
                on_click=_cancel, args=(task,), help="Studies that are finished stay.",
            )  # fmt: skip


def _cancel(task: process_tasks.Task) -> None:
    try:
        process_tasks.cancel_task(task)
    except CSpineError as error:
        show_error(error)

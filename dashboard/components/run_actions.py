"""The buttons of one run: stop, resume, duplicate, delete."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.errors import CSpineError
from core.training.run_list import RunSummary
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.training import run_processes
from dashboard.training.run_form import form_values
from dashboard.widgets.notices import show_error


def run_actions(run: RunSummary) -> None:
    """Offer what can be done with a run; nothing where the dashboard is read-only."""
    if not may_change():
        st.caption("Read-only: runs can be looked at, not changed.")
        return
    with st.container(horizontal=True, horizontal_alignment="right", key="run_actions"):
        if run.is_alive and st.button("Stop", icon=":material/stop_circle:", help=_STOP):
            _act(run_processes.stop_run, run, f"Run {run.run_id} was asked to stop.")
        if run.can_resume and st.button("Resume", icon=":material/play_arrow:", type="primary"):
            _act(run_processes.resume_run, run, f"Run {run.run_id} goes on.")
        if run.config is not None:
            st.button(
                "Duplicate", icon=":material/content_copy:", on_click=_duplicate, args=(run,),
                help="Open the form with this run's values.",
            )  # fmt: skip
        if not run.is_alive:
            _delete_button(run)


_STOP = "Ends after the step it is in and keeps its state; it can be resumed."


def _delete_button(run: RunSummary) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.write(f"Delete run **{run.run_id}** with its weights and curves? This cannot be undone.")
        if st.button("Delete for good", type="primary", key="delete_run"):
            state.choose_run(None)
            _act(run_processes.delete_run, run, f"Run {run.run_id} was deleted.")


def _duplicate(run: RunSummary) -> None:
    if run.config is not None:
        state.fill_form(form_values(run.config), anew=True)
        state.show_section("New run")


def _act(action: Callable[[RunSummary], None], run: RunSummary, message: str) -> None:
    try:
        action(run)
    except CSpineError as error:
        show_error(error)
        return
    state.tell(message)
    st.rerun(scope="app")

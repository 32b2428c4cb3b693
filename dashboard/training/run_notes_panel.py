"""Tags and note of a run on the page."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.training.run_list import RunSummary
from core.training.run_notes import LONGEST_NOTE, RunNotes, tags_of
from dashboard.session import state
from dashboard.training import run_processes
from dashboard.widgets.notices import succeeds


def show_notes(run: RunSummary) -> None:
    """Show what was written about a run; nothing where nothing was."""
    notes = run.notes
    words = [*notes.tags, *(["archived"] if notes.archived else [])]
    if words:
        pills = " ".join(f'<b class="lab-pill lab-pill-quiet">{escape(word)}</b>' for word in words)
        st.html(pills)
    if notes.note:
        st.text(notes.note)


def notes_button(run: RunSummary) -> None:
    """Let the user change tags and note, or put the run away."""
    popover = st.popover("Notes", icon=":material/sell:", key="run_notes")
    with popover, st.form("run_notes_form", border=False):
        tags = st.text_input(
            "Tags", ", ".join(run.notes.tags), key=f"tags_{run.run_id}",
            help="Separated by commas.",
        )  # fmt: skip
        note = st.text_area(
            "Note", run.notes.note, max_chars=LONGEST_NOTE, key=f"note_{run.run_id}"
        )
        archived = st.checkbox(
            "Archived", run.notes.archived, key=f"archived_{run.run_id}",
            help="Not listed unless “Show archived” is on; nothing is deleted.",
        )  # fmt: skip
        if st.form_submit_button("Save", type="primary"):
            _save(run, tags, note, archived=archived)


def _save(run: RunSummary, tags: str, note: str, *, archived: bool) -> None:
    def save() -> None:
        written = RunNotes(tags_of(tags), note.strip(), archived)
        run_processes.save_notes(run, written)

    if succeeds(save):
        state.leave_message(f"The notes on run {run.run_id} were saved.")
        st.rerun(scope="app")

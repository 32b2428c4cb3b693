"""The switch between the parts of the training page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.session import state


def section_switch(sections: Sequence[str]) -> str:
    """Let the reader turn to a part of the page; a link to a run opens at the runs.

    Args:
        sections: Names of the parts; the first is shown at first.
    """
    if state.run_is_linked():
        state.show_section("Runs")
    state.enter_section()
    return st.segmented_control(
        "Part of the page",
        sections,
        default=sections[0],
        required=True,
        key=state.TRAINING_SECTION_KEY,
        label_visibility="collapsed",
        persist_state="session",
    )

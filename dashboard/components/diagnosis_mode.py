"""The switch between one study and many."""

from __future__ import annotations

import streamlit as st

from dashboard.session import state
from dashboard.session.access import may_browse


def wants_many() -> bool:
    """Let an operator choose between one study and batch mode; whether it is batch mode."""
    if not may_browse():
        return False
    chosen = st.segmented_control(
        "What to read",
        [state.ONE_STUDY, state.MANY_STUDIES],
        default=state.ONE_STUDY,
        required=True,
        key=state.MODE_KEY,
        persist_state="session",
        label_visibility="collapsed",
    )
    return chosen == state.MANY_STUDIES

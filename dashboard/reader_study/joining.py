"""The form that joins a reader study."""

from __future__ import annotations

import streamlit as st

from dashboard.reader_study.place import join, linked_code, show_problem
from dashboard.session import state

_KEY = "reader_code"


def join_form() -> None:
    """Draw the form: a code, no name."""
    show_problem()
    with st.container(key="reader_join"):
        st.html('<h2 class="lab-plain">Take part</h2>')
        state.start_with(_KEY, linked_code())
        with st.form("reader_join_form", border=False):
            field, button = st.columns([3, 1], vertical_alignment="bottom")
            with field:
                st.text_input("Code from your lecturer", key=_KEY, max_chars=12)
            with button:
                st.form_submit_button(
                    "Join", type="primary", icon=":material/login:", width="stretch",
                    on_click=_join,
                )  # fmt: skip
        st.caption(
            "You need no name. The address of this page is your place in the study: a reload goes "
            "on where you were, so do not pass it on."
        )


def _join() -> None:
    join(str(state.recall(_KEY) or ""))

"""The glossary for students, one click away on every page."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from dashboard.glossary import glossary, matching


def glossary_button() -> None:
    """A button that opens the glossary over the page; nothing where there is none."""
    if glossary() and st.button(
        "Glossary", key="glossary_open", type="tertiary", icon=":material/menu_book:",
        help="The words of these pages, for students.",
    ):  # fmt: skip
        _show()


@st.dialog("Glossary", width="large")
def _show() -> None:
    wanted = st.text_input(
        "Find a word", key="glossary_word", placeholder="threshold, window, AUC …"
    )
    found = matching(glossary(), wanted or "")
    if not found:
        st.markdown("No such word here. Try a shorter piece of it.")
    # While somebody searches, the best match stands first, whatever section it is of.
    for section, entries in groupby(found, lambda entry: "" if wanted else entry.section):
        lines = [f"- **{entry.term}** — {entry.meaning}" for entry in entries]
        st.markdown("\n".join([f"##### {section}", "", *lines] if section else lines))

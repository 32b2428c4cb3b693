"""The presenter layout: larger type, no sidebar, little around the page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

import streamlit as st

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.errors import DataRootError
from dashboard.studies.current_set import current_cohort
from dashboard.tour import state

STYLE: Final = Path(__file__).resolve().parent.parent / "presenter.css"


def apply_presenter_style() -> None:
    """Add the layout's stylesheet."""
    st.html(STYLE)


def presenter_note() -> None:
    """The standing warnings, which the hidden sidebar holds otherwise, and the way out."""
    try:
        cohort = current_cohort()
    except DataRootError:
        cohort = None
    warning = SYNTHETIC_WARNING if cohort is not None and cohort.synthetic else ""
    with st.container(key="presenter_note", horizontal=True, vertical_alignment="center"):
        st.html(f"<b>{escape(warning)}</b> {escape(NOT_FOR_CLINICAL_USE)}")
        if state.tour_place() is None:
            presenter_switch("note")


def presenter_switch(place: str) -> None:
    """A button that turns the layout on or off.

    Args:
        place: Where the button stands; part of its key.
    """
    on = state.presents()
    st.button(
        "Normal view" if on else "Presenter view",
        key=f"tour_present_{place}",
        type="tertiary",
        icon=":material/close_fullscreen:" if on else ":material/present_to_all:",
        on_click=state.present,
        args=(not on,),
        help=None
        if on
        else "Larger type for a projector, without the sidebar. F11 fills the screen; in the tour "
        "Page Down and Page Up go on and back.",
    )

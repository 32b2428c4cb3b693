"""The presenter layout: larger type and no sidebar."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.errors import DataRootError
from dashboard.studies.current_set import current_cohort
from dashboard.tour import state


def presenter_note(other_scan: str = "") -> None:
    """Show the standing warnings, which the sidebar holds otherwise, and the way back.

    Args:
        other_scan: As for `sidebar_status`.
    """
    try:
        cohort = current_cohort()
    except DataRootError:
        cohort = None
    generated = cohort is not None and cohort.synthetic and not other_scan
    warning = SYNTHETIC_WARNING if generated else ""
    with st.container(key="presenter_note", horizontal=True, vertical_alignment="center"):
        st.html(f"<b>{escape(warning)}</b> {escape(NOT_FOR_CLINICAL_USE)}")
        shown = state.shows_pickers()
        st.button(
            "Hide the controls" if shown else "Show the controls",
            key="tour_pickers",
            type="tertiary",
            icon=":material/tune:",
            on_click=state.show_pickers,
            args=(not shown,),
            help="Choice of study, networks and settings.",
        )
        if state.tour_place() is None:
            presenter_switch("note")


def presenter_switch(place: str) -> None:
    """Draw the button that turns the layout on or off.

    Args:
        place: Location of the button; part of its key.
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
        else "Larger type for a projector, without sidebar and controls. F11 switches to full "
        "screen; in the tour, Page Down and Page Up go forward and back.",
    )

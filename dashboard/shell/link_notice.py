"""What a page shows instead of itself when its link asks for something that does not exist."""

from __future__ import annotations

import streamlit as st

from dashboard.session import link, state
from dashboard.session.link import LinkError
from dashboard.studies.data_sets import data_sets
from dashboard.tour.stops import STOPS, TOUR_KEY, stop_number
from dashboard.widgets.notices import show_error


def wrong_link(page: str) -> LinkError | None:
    """What is wrong with the parameters that every page has; None if nothing is.

    Args:
        page: Path of the page in the URL; Dataset alone also shows incomplete sets.
    """
    known = [choice.key for choice in data_sets() if choice.complete or page == "dataset"]
    try:
        link.check_plain()
        link.check(TOUR_KEY, stop_number, f"the tour has stops 1 to {len(STOPS)}")
        # On Evaluation the parameter of this name is a truth, which the page checks itself.
        if page != "evaluation" and state.recall(state.DATA_SET_KEY) is None:
            link.check_one_of(state.DATA_SET_KEY, known, "this installation")
    except LinkError as error:
        return error
    return None


def link_notice(error: LinkError) -> None:
    """Show what is wrong with the link, and a button that opens the page without it."""
    show_error(error, icon=":material/link_off:")
    st.button(
        "Open without it", key="link_without", icon=":material/open_in_new_off:",
        on_click=link.forget, args=(error.name,),
    )  # fmt: skip

"""Position of a browser session in the tour, its state before the tour, the presenter layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from dashboard.session import link
from dashboard.session.state import TRUTH_KEY
from dashboard.session.teaching import PRESENTS, TOUR
from dashboard.tour.stops import TOUR_KEY, Controls, stop_number

PRESENT_KEY: Final = "present"
SWITCHES: Final = (
    TRUTH_KEY, "pre_follow", "pre_truth", "run_archived", "run_curves_log", "compared_curves_log",
)  # fmt: skip
"""Switches that outlive their page. Of all on/off widgets only these are restored: the value of
a button must not be set."""
SWITCH_PREFIX: Final = "train_"

_ASKED: Final = "_tour_asked"
_LEAVING: Final = "_tour_leaving"
_PICKERS: Final = "_presents_pickers"
_KEPT: Final = ("_session", "_viewer_", TOUR, PRESENTS, "upload", "_upload")


@dataclass(frozen=True, slots=True)
class TourPlace:
    """Position in the tour.

    Attributes:
        number: Number of the stop, from 1.
        serial: Counts the stops entered, so that an entry differs from a rerun.
        before: State of the session before the tour.
    """

    number: int
    serial: int
    before: Mapping[str, Any]


def tour_place() -> TourPlace | None:
    """Position in the tour; None outside it."""
    return st.session_state.get(TOUR)


def asked_stop() -> int | None:
    """Number of the stop to enter now: the requested one, else a new one in the URL."""
    asked = st.session_state.pop(_ASKED, None)
    if asked is not None:
        return asked
    place, linked = tour_place(), stop_number(st.query_params.get(TOUR_KEY))
    return None if place is not None and linked == place.number else linked


def ask_stop(number: int) -> None:
    """Enter a stop at the next run; for callbacks."""
    st.session_state[_ASKED] = number


def ask_to_leave() -> None:
    """Leave the tour at the next run; for callbacks."""
    st.session_state[_LEAVING] = True


def enter_stop(number: int, controls: Controls) -> None:
    """Go to a stop, with the pages as in a new session except for these controls.

    Args:
        number: Number of the stop, from 1.
        controls: Pairs of widget key and value.
    """
    place = tour_place()
    before = _settable() if place is None else place.before
    serial = 1 if place is None else place.serial + 1
    _forget()
    st.session_state[TOUR] = TourPlace(number, serial, before)
    for key, value in controls:
        st.session_state[key] = value


def leave_tour() -> bool:
    """Restore the session to its state before the tour, if leaving was requested.

    Returns:
        Whether the tour has ended.
    """
    place = tour_place()
    if not st.session_state.pop(_LEAVING, False) or place is None:
        return False
    _forget()
    del st.session_state[TOUR]
    for key, value in place.before.items():
        st.session_state[key] = value
    return True


def show_stop_in_url(number: int | None) -> None:
    """Make the URL a link to a stop; None removes the tour from the URL."""
    link.show(TOUR_KEY, None if number is None else str(number))


def linked_query() -> dict[str, str]:
    """All query parameters of the URL."""
    return dict(st.query_params.items())


def presents() -> bool:
    """Whether the presenter layout is on; a link turns it on for the session."""
    linked = st.query_params.get(PRESENT_KEY) == "1"
    if linked or link.came_back():
        st.session_state[PRESENTS] = linked
    return bool(st.session_state.get(PRESENTS))


def present(on: bool) -> None:
    """Turn the presenter layout on or off; for callbacks."""
    st.session_state[PRESENTS] = on
    # The URL as well: it still holds the previous layout and would turn it on again.
    link.show(PRESENT_KEY, "1" if on else None)
    if on:
        # Revealed for one viewer, not for a class.
        link.show("truth", None)


def shows_pickers() -> bool:
    """Whether the presenter layout shows the pickers."""
    return bool(st.session_state.get(_PICKERS))


def show_pickers(on: bool) -> None:
    """Show or hide the pickers in the presenter layout; for callbacks."""
    st.session_state[_PICKERS] = on


def show_layout_in_url() -> None:
    """Make a link to the page open in the current layout."""
    link.show(PRESENT_KEY, "1" if presents() else None)


def _settable() -> dict[str, Any]:
    """Session state without the values that Streamlit forbids to set (buttons, selections)."""
    return {
        str(key): value
        for key, value in st.session_state.items()
        if not str(key).startswith(_KEPT) and _may_be_set(str(key), value)
    }


def _may_be_set(key: str, value: object) -> bool:
    if key.startswith("_"):
        return True
    if isinstance(value, bool):
        return key in SWITCHES or key.startswith(SWITCH_PREFIX)
    return isinstance(value, str | int | float | list | tuple)


def _forget() -> None:
    for key in list(st.session_state):
        if not str(key).startswith(_KEPT):
            del st.session_state[key]

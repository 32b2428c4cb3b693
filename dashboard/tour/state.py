"""Where a browser session is in the tour, what it looked like before, and the presenter layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from dashboard.session.state import TRUTH_KEY
from dashboard.tour.stops import TOUR_KEY, Controls, stop_number

PRESENT_KEY: Final = "present"
SWITCHES: Final = (TRUTH_KEY, "pre_follow", "pre_truth")
"""Switches that outlive their page. Among the widgets that are on or off, only they are put back:
a button's value must not be set."""
SWITCH_PREFIX: Final = "train_"

_TOUR: Final = "_tour"
_ASKED: Final = "_tour_asked"
_LEAVING: Final = "_tour_leaving"
_PRESENTS: Final = "_presents"
_KEPT: Final = ("_session", "_viewer_", "_tour", _PRESENTS, "upload", "_upload")


@dataclass(frozen=True, slots=True)
class TourPlace:
    """Where the reader is in the tour.

    Attributes:
        number: Of the stop, from 1.
        serial: Counts the stops entered, so that each entry is told apart from a rerun.
        before: What the session remembered before the tour.
    """

    number: int
    serial: int
    before: Mapping[str, Any]


def tour_place() -> TourPlace | None:
    """Where the reader is in the tour; None outside it."""
    return st.session_state.get(_TOUR)


def asked_stop() -> int | None:
    """The stop to enter now: one that was asked for, else another one that the URL names."""
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
    """Be at a stop, with the pages as in a fresh session but for these controls.

    Args:
        number: Of the stop, from 1.
        controls: (widget key, value).
    """
    place = tour_place()
    before = _settable() if place is None else place.before
    serial = 1 if place is None else place.serial + 1
    _forget()
    st.session_state[_TOUR] = TourPlace(number, serial, before)
    for key, value in controls:
        st.session_state[key] = value


def leave_tour() -> bool:
    """Where leaving was asked for, put the session back to what it was before the tour.

    Returns:
        Whether the reader has left.
    """
    place = tour_place()
    if not st.session_state.pop(_LEAVING, False) or place is None:
        return False
    _forget()
    del st.session_state[_TOUR]
    for key, value in place.before.items():
        st.session_state[key] = value
    return True


def show_stop_in_url(number: int | None) -> None:
    """Make the URL a link to a stop; None takes the tour out of it."""
    _set(TOUR_KEY, None if number is None else str(number))


def linked_query() -> dict[str, str]:
    """The query parameters of the URL, as a reader's link has them."""
    return dict(st.query_params.items())


def presents() -> bool:
    """Whether the presenter layout is on; a link turns it on for the session."""
    if st.query_params.get(PRESENT_KEY) == "1":
        st.session_state[_PRESENTS] = True
    return bool(st.session_state.get(_PRESENTS))


def present(on: bool) -> None:
    """Turn the presenter layout on or off; for callbacks."""
    st.session_state[_PRESENTS] = on
    # The URL as well: it still holds the layout that was on, and a link's word counts.
    _set(PRESENT_KEY, "1" if on else None)


def show_layout_in_url() -> None:
    """Have a link to the page open in the layout that is on."""
    _set(PRESENT_KEY, "1" if presents() else None)


def _settable() -> dict[str, Any]:
    """What the session remembers, without what Streamlit forbids to set (buttons, selections)."""
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


def _set(name: str, value: str | None) -> None:
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value

"""Errors, warnings and messages on a page, with paths and names shown literally."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import CSpineError
from dashboard.session import state
from dashboard.session.wording import literal


def show_error(
    problem: object, *, icon: str | None = None, place: DeltaGenerator | None = None
) -> None:
    """Show why something failed.

    Args:
        problem: An error or its message.
        icon: As in `st.error`.
        place: Container to show it in; None for the current one.
    """
    (place or st).error(literal(str(problem)), icon=icon)


def show_warning(
    problem: object, *, icon: str | None = None, place: DeltaGenerator | None = None
) -> None:
    """Show a warning; arguments as for `show_error`."""
    (place or st).warning(literal(str(problem)), icon=icon)


def show_left_message() -> None:
    """Show the message left for this run of the page, if any."""
    if message := state.take_message():
        show_success(message)


def show_success(message: str, *, icon: str = ":material/check:") -> None:
    """Show what has been done; `icon` as in `st.success`."""
    st.success(literal(message), icon=icon)


def succeeds(action: Callable[[], object]) -> bool:
    """Run the action of a button, show why it failed, and return whether it succeeded."""
    try:
        action()
    except CSpineError as error:
        show_error(error)
        return False
    return True

"""Errors and warnings on a page: sentences that hold paths and names, shown as they are."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.session.wording import literal


def show_error(
    problem: object, *, icon: str | None = None, place: DeltaGenerator | None = None
) -> None:
    """Show why something failed.

    Args:
        problem: An error or its sentence.
        icon: As in `st.error`.
        place: Where, unless it is here.
    """
    (place or st).error(literal(str(problem)), icon=icon)


def show_warning(
    problem: object, *, icon: str | None = None, place: DeltaGenerator | None = None
) -> None:
    """Show what the reader should know of; arguments as for `show_error`."""
    (place or st).warning(literal(str(problem)), icon=icon)

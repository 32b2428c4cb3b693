"""One row above a study: source, study and its neighbours, networks, and buttons of the page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.models.pairs import BundlePair
from dashboard.widgets.bundle_picker import bundle_picker
from dashboard.widgets.study_picker import StudyChoice, study_picker


@dataclass(frozen=True, slots=True)
class StudyBar:
    """What is chosen in the row.

    Attributes:
        choice: The study; None while there is nothing to open.
        pair: The networks; None if there are none, or the page does not ask for them.
        more: The row, for buttons of the page.
    """

    choice: StudyChoice | None
    pair: BundlePair | None
    more: DeltaGenerator


def study_bar(*, networks: bool, boxed: bool = False) -> StudyBar:
    """Draw the row.

    Args:
        networks: Whether the networks that score the study are chosen in it.
        boxed: As for `study_picker`.

    Raises:
        LinkError: The URL names a study or a network that does not exist.
    """
    row = st.container(key="study_bar", horizontal=True, vertical_alignment="center", gap="xsmall")
    messages = st.container()
    # Before the study: its list names what these networks call.
    picker = bundle_picker(messages) if networks else None
    pair = None if picker is None else picker.pair
    with row:
        choice = study_picker(messages, pair, boxed=boxed)
        if picker is not None:
            picker.draw()
    return StudyBar(choice, pair, row)


def networks_bar() -> BundlePair | None:
    """Draw the row for work on many studies: the networks alone; None if there are none.

    Raises:
        LinkError: The URL names a network that does not exist.
    """
    row, messages = st.container(key="study_bar", horizontal=True), st.container()
    picker = bundle_picker(messages)
    if picker is None:
        return None
    with row:
        picker.draw()
    return picker.pair

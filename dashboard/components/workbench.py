"""One study on the bench: the viewer and the verdict, redrawn together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.models.pairs import BundlePair
from dashboard import state
from dashboard.components.slice_viewer import Ribbon, slice_viewer
from dashboard.components.verdict import verdict_panel
from dashboard.reading import StudyReading
from dashboard.services import OpenStudy

VIEWER_KEY: Final = "viewer"


@st.fragment
def workbench(
    study: OpenStudy,
    reading: StudyReading | None,
    pair: BundlePair | None,
    truth: Sequence[bool] | None,
) -> None:
    """Draw the bench; what moves in it redraws the bench alone.

    Args:
        study: What to look at.
        reading: What the networks say of it; None before they have run.
        pair: The networks; None where there are none.
        truth: y_j for C1..C7, None where unlabelled.
    """
    start = study.volume.n_slices // 2 if reading is None else reading.peak_slice
    state.enter_study(study.fingerprint, study.volume.n_slices, start)
    with st.container(key="bench"):
        picture, verdict = st.columns([16, 9], gap="medium")
        with picture:
            slice_viewer(
                study,
                key=VIEWER_KEY,
                slice_index=state.current_slice(),
                ribbon=None if reading is None else Ribbon.of_reading(reading),
                on_change=_follow,
            )
        with verdict, st.container(key="verdict"):
            if reading is None or pair is None:
                _unread(pair)
            else:
                verdict_panel(reading, pair, truth)
    state.show_slice_in_url()


def _follow() -> None:
    """Take over the slice that the reader scrolled to, before the bench is drawn again."""
    state.go_to_slice(state.viewer_report(VIEWER_KEY).slice_index)


def _unread(pair: BundlePair | None) -> None:
    reason = (
        "No networks, no verdict. The slices can be browsed."
        if pair is None
        else "No verdict yet: the networks have not read this study."
    )
    st.html(f'<div class="lab-blank">{reason}</div>')

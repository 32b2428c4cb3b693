"""One study on the bench: slice viewer, profile along z and verdict, redrawn together."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.models.pairs import BundlePair
from dashboard import state
from dashboard.charts.z_profile import z_profile_figure
from dashboard.components.verdict import verdict_panel
from dashboard.components.viewport import slice_viewer
from dashboard.reading import StudyReading
from dashboard.services import OpenStudy

_CHART_KEY = "z_profile"


@st.fragment
def workbench(
    study: OpenStudy,
    reading: StudyReading | None,
    pair: BundlePair | None,
    truth: Sequence[bool] | None,
) -> None:
    """Draw the bench; moving a slider in it redraws the bench alone.

    Args:
        study: What to look at.
        reading: What the networks say of it; None before they have run.
        pair: The networks; None where there are none.
        truth: y_j for C1..C7, None where unlabelled.
    """
    start = study.volume.n_slices // 2 if reading is None else reading.peak_slice
    state.enter_study(study.fingerprint, study.volume.n_slices, start)
    with st.container(key="bench"):
        picture, profile, verdict = st.columns([10, 6, 9], gap="medium")
        with picture:
            slice_viewer(study.volume)
        with profile:
            _profile(reading)
        with verdict, st.container(key="verdict"):
            if reading is None or pair is None:
                _unread(pair)
            else:
                verdict_panel(reading, pair, truth)
    state.show_slice_in_url()


def _profile(reading: StudyReading | None) -> None:
    st.html(
        '<div class="lab-panel-title">Along the neck'
        "<span>click a point to see its slice</span></div>"
    )
    if reading is None:
        st.html('<div class="lab-blank">The profile appears once the networks have run.</div>')
        return
    st.plotly_chart(
        z_profile_figure(reading, state.current_slice()),
        key=_CHART_KEY,
        on_select=_go_to_clicked,
        selection_mode="points",
        config={"displayModeBar": False},
        alt="Slice fracture probability along z, with the extents of C1 to C7",
    )


def _go_to_clicked() -> None:
    index = state.clicked_slice(_CHART_KEY)
    if index is not None:
        state.go_to_slice(index)


def _unread(pair: BundlePair | None) -> None:
    reason = (
        "No networks, no verdict. The slices can be browsed."
        if pair is None
        else "No verdict yet: the networks have not read this study."
    )
    st.html(f'<div class="lab-blank">{reason}</div>')

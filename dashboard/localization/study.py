"""Boxes of one study before and after fusion, in two viewers that scroll together."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import streamlit as st

from core.dataset.true_boxes import boxes_on_volume
from core.inference.boxes.tracks import Detections, boxes_3d, detect
from core.types import BoxPrediction, RawDetections
from dashboard.localization.controls import SCORE, BoxChoice
from dashboard.session import state
from dashboard.studies.localizer import as_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw
from dashboard.tour.reveal import hidden_note, reveal_switch
from dashboard.widgets.annotation_panel import annotation_panel
from dashboard.widgets.box_request import box_progress
from dashboard.widgets.frame import draw
from dashboard.widgets.slice_viewer.overlays import predicted_boxes, true_boxes
from dashboard.widgets.slice_viewer.viewer import slice_viewer
from dashboard.widgets.study_picker import StudyChoice
from dashboard.widgets.threshold_slider.live_parts import (
    Tabled,
    at_threshold,
    live_part,
    live_parts,
    live_selector,
)
from dashboard.widgets.threshold_slider.slider import POSITIONS

BEFORE, AFTER = "loc_before", "loc_after"
_HEIGHT: Final = 430
_COUNT: Final = "loc_count"


def study_boxes(study: OpenStudy, choice: StudyChoice, chosen: BoxChoice) -> None:
    """Show the boxes of a study; run the localiser first if it has not run yet."""
    raw = find_raw(study, chosen.bundle)
    if raw is None:
        box_progress(study, chosen.bundle)
        return
    _viewers(study, choice, raw, detect(raw, chosen.settings), chosen)


@st.fragment
def _viewers(
    study: OpenStudy,
    choice: StudyChoice,
    raw: RawDetections,
    fused: Detections,
    chosen: BoxChoice,
) -> None:
    found = fused.above(chosen.threshold)
    record = choice.record
    known = [] if record is None else boxes_on_volume(record.boxes, study.volume)
    revealed = reveal_switch(study.fingerprint, labelled=record is not None, always_truth=True)
    if not revealed.verdict:
        _hidden(study, choice)
        return
    truth = known if revealed.truth else []
    state.enter_study(study.fingerprint, study.volume.n_slices, _start(found, truth, study))
    kept = raw.scores >= chosen.settings.skip_below
    before = as_boxes(raw.slice_index[kept], raw.xyxy[kept], raw.scores[kept])
    after = as_boxes(fused.slice_index, fused.xyxy, fused.scores)
    count = live_part(_COUNT, str(len(found)))
    least = at_threshold(SCORE, chosen.threshold)
    with st.container(key="loc_viewers"):
        left, right = st.columns(2, gap="medium")
    for place, key, title, boxes in (
        (left, BEFORE, f"Before fusion · {len(before)} raw boxes", predicted_boxes(before)),
        (
            right, AFTER,
            f'<span aria-live="polite">After fusion · {count} boxes with score ≥ {least}</span>',
            predicted_boxes(after, (SCORE, chosen.threshold)),
        ),
    ):  # fmt: skip
        with place:
            draw(f"**{title}**")
            slice_viewer(
                study, key=key, slice_index=state.current_slice(), height=_HEIGHT,
                overlays=[true_boxes(truth), boxes],
                leads=True, study_id=choice.study_id,
            )  # fmt: skip
    counts = len(fused) - np.searchsorted(np.sort(fused.scores), POSITIONS)
    live_parts("loc_study", [Tabled(SCORE, live_selector(_COUNT), [str(n) for n in counts])])
    _tracks(found, fused)
    shown = as_boxes(found.slice_index, found.xyxy, found.scores)
    annotation_panel(study, choice, shown, truth=revealed.truth)
    state.show_slice_in_url()


def _hidden(study: OpenStudy, choice: StudyChoice) -> None:
    """Show the slices alone."""
    state.enter_study(study.fingerprint, study.volume.n_slices, study.volume.n_slices // 2)
    slice_viewer(
        study, key=BEFORE, slice_index=state.current_slice(), height=_HEIGHT, leads=True,
        panes=("axial", "sagittal"), study_id=choice.study_id,
    )  # fmt: skip
    hidden_note()
    state.show_slice_in_url()


def _tracks(found: Detections, fused: Detections) -> None:
    """One button per track, to its middle slice; without a track, one that lowers the score."""
    tracks = boxes_3d(found)[:8]
    if not tracks:
        _no_track(fused)
        return
    st.caption("Boxes of neighbouring slices form tracks. Go to a track (highest score first):")
    with st.container(horizontal=True, key="loc_tracks"):
        for number, box in enumerate(tracks):
            middle = (box.first_slice + box.last_slice) // 2
            st.button(
                f"slices {box.first_slice}–{box.last_slice} · {box.score:.2f}",
                key=f"loc_track_{number}", on_click=state.go_to_slice, args=(middle,),
            )  # fmt: skip


def _no_track(fused: Detections) -> None:
    if not len(fused):
        st.caption("The localiser finds no box on this study, whatever the minimum score.")
        return
    best = math.floor(float(fused.scores.max()) * 1000) / 1000
    with st.container(key="loc_none", horizontal=True, vertical_alignment="center"):
        st.caption(f"No box of this study reaches the minimum score; the best has {best:.3f}.")
        if st.button(
            f"Lower the minimum score to {best:.3f}", key="loc_lower", icon=":material/south:"
        ):
            # The slider and the held-out figures are outside of this fragment.
            state.remember(SCORE, best)
            st.rerun()


def _start(found: Detections, truth: list[BoxPrediction], study: OpenStudy) -> int:
    """Index of the slice with the best box, else with a true box, else the middle."""
    if len(found):
        return int(found.slice_index[found.scores.argmax()])
    return truth[len(truth) // 2].slice_index if truth else study.volume.n_slices // 2

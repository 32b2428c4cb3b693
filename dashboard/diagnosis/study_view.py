"""One study on the bench: the viewer and the verdict, redrawn together."""

from __future__ import annotations

from typing import Final

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from dashboard.diagnosis.box_layer import box_layer
from dashboard.diagnosis.explanation import explanation_layer, explanation_picker
from dashboard.diagnosis.report_download import report_download
from dashboard.diagnosis.second_opinions import opinions_panel
from dashboard.diagnosis.verdict import verdict_panel
from dashboard.diagnosis.z_profile import z_profile_figure
from dashboard.session import state, viewer_place
from dashboard.studies.bundle_figures import operating_point
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.slice_viewer import Overlay, Ribbon, slice_viewer
from dashboard.widgets.study_picker import StudyChoice
from dashboard.widgets.truth_layers import truth_layers

VIEWER_KEY: Final = "viewer"
BOXES_EXPLAIN: Final = (
    "The verdict rests on the localiser's boxes, which are drawn on the slices: each box counts "
    "for the vertebrae in view, together with the other slices of the vertebra. For a Grad-CAM "
    "map choose another fracture network above."
)


@st.fragment
def workbench(
    study: OpenStudy,
    reading: StudyScores | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """Draw the bench; what moves in it redraws the bench alone.

    Args:
        study: What to look at.
        reading: What the networks say of it; None before they have run.
        pair: The networks; None where there are none.
        choice: Where the study comes from and what is known of it.
    """
    state.enter_study(study.fingerprint, study.volume.n_slices, _start(study, reading))
    with st.container(key="bench"):
        picture, verdict = st.columns([16, 9], gap="medium")
        with picture:
            slices = st.container()
            layers: list[Overlay] = truth_layers(
                study, choice.record, reveal=state.truth_is_shown()
            )
            by_boxes = pair is not None and pair.fracture.config.gives_boxes
            if reading is not None and pair is not None and by_boxes:
                st.caption(BOXES_EXPLAIN)
            elif reading is not None and pair is not None:
                heat = explanation_layer(study, reading, pair, explanation_picker())
                layers += [] if heat is None else [heat]
            boxes = box_layer(study, coming=by_boxes and reading is None)
            layers += [] if boxes is None else [boxes]
            with slices:
                slice_viewer(
                    study,
                    key=VIEWER_KEY,
                    slice_index=state.current_slice(),
                    panes=("axial", "sagittal"),
                    overlays=layers,
                    ribbon=_ribbon(reading, pair),
                    on_change=_follow,
                )
        with verdict, st.container(key="verdict"):
            if reading is None or pair is None:
                _unread(pair)
            else:
                verdict_panel(reading, pair, choice.truth)
    study_details(study, reading, pair, choice)
    state.show_slice_in_url()


def _start(study: OpenStudy, reading: StudyScores | None) -> int:
    """The slice shown first: the worst of the linked vertebra or of the study, or the middle."""
    if reading is None:
        return study.volume.n_slices // 2
    linked = state.linked_vertebra(VERTEBRAE)
    return reading.peak_slice if linked is None else reading.peaks[VERTEBRAE.index(linked)]


def _ribbon(reading: StudyScores | None, pair: BundlePair | None) -> Ribbon | None:
    if reading is None or pair is None:
        return None
    point = operating_point(pair.fracture, "slice")
    return Ribbon.of_reading(reading, point.threshold if point.rule else None)


def _follow() -> None:
    """Take over the slice that the reader scrolled to, before the bench is drawn again."""
    state.go_to_slice(viewer_place.viewer_report(VIEWER_KEY).slice_index)


def _unread(pair: BundlePair | None) -> None:
    reason = (
        "No networks, no verdict. The slices can be browsed."
        if pair is None
        else "No verdict yet: the networks have not read this study."
    )
    st.html(f'<div class="lab-blank">{reason}</div>')


def study_details(
    study: OpenStudy, reading: StudyScores | None, pair: BundlePair | None, choice: StudyChoice
) -> None:
    """Show what goes beyond the verdict; nothing before the networks have run."""
    if reading is None or pair is None:
        return
    profile, others, report = st.tabs(
        ["Along the neck", "Do the model types agree?", "Report"], key="details"
    )
    with profile:
        st.caption(
            "Left: where C1 to C7 were found along the table axis. Right: the fracture probability "
            "of each slice; a peak inside one vertebra is more convincing than one between two."
        )
        st.plotly_chart(
            z_profile_figure(reading, state.current_slice()),
            key="z_profile",
            config={"displayModeBar": False},
            alt="Slice fracture probability along z, with the extents of C1 to C7",
        )
    with others:
        opinions_panel(study)
    with report:
        report_download(study, reading, pair, choice)

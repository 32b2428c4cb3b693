"""One study on Diagnosis: the viewer and the verdict, redrawn together."""

from __future__ import annotations

from typing import Final

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair
from dashboard.diagnosis.box_layer import box_layer
from dashboard.diagnosis.explanation import explanation_layer, explanation_picker
from dashboard.diagnosis.report_download import report_download
from dashboard.diagnosis.second_opinions import opinions_panel
from dashboard.diagnosis.verdict import verdict_panel
from dashboard.diagnosis.z_profile import z_profile_figure
from dashboard.session import state
from dashboard.studies.localizer import study_boxes
from dashboard.studies.open_study import OpenStudy
from dashboard.tour.reveal import hidden_note, reveal_switch
from dashboard.widgets.annotation_panel import annotation_panel
from dashboard.widgets.frame import blank
from dashboard.widgets.plot_area import show_chart
from dashboard.widgets.series_facts import facts_line, series_facts
from dashboard.widgets.slice_viewer.overlays import Overlay
from dashboard.widgets.slice_viewer.ribbon import Ribbon
from dashboard.widgets.slice_viewer.viewer import slice_viewer
from dashboard.widgets.study_layers import study_layers
from dashboard.widgets.study_picker import StudyChoice

VIEWER_KEY: Final = "viewer"
MEMBERS_EXPLAIN: Final = (
    "An ensemble has no heat map of its own: choose one of its members as the fracture network to "
    "see what it looked at."
)
BOXES_EXPLAIN: Final = (
    "The verdict is based on the localiser's boxes, which are drawn on the slices: each box counts "
    "for the vertebrae on its slice, together with the other slices of each vertebra. For a "
    "heat map, choose another fracture network above."
)


@st.fragment
def workbench(
    study: OpenStudy,
    scores: StudyScores | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """Draw viewer, verdict and details; a change in them redraws only this fragment.

    Args:
        study: Study to show.
        scores: Scores of the networks; None before they have run.
        pair: The networks; None if there are none.
        choice: Source of the study, with its truth if it is known.
    """
    with facts_line():
        series_facts(study, choice)
        revealed = reveal_switch(study.fingerprint, labelled=choice.truth is not None)
    if not revealed.verdict:
        scores = None
    state.enter_study(study.fingerprint, study.volume.n_slices, _start(study, scores))
    with st.container(key="bench"):
        picture, verdict = st.columns([16, 9 if revealed.verdict else 4], gap="medium")
        with picture:
            slices = st.container()
            layers: list[Overlay] = study_layers(study, choice.record, reveal=revealed.truth)
            if scores is not None and pair is not None:
                layers += _explanation(study, scores, pair)
            boxes = box_layer(study, scores, pair) if revealed.verdict else None
            layers += [] if boxes is None else [boxes]
            with slices:
                slice_viewer(
                    study,
                    key=VIEWER_KEY,
                    slice_index=state.current_slice(),
                    panes=("axial", "sagittal"),
                    overlays=layers,
                    ribbon=_ribbon(scores, pair),
                    leads=True,
                    study_id=choice.study_id,
                )
        with verdict, st.container(key="verdict"):
            if not revealed.verdict:
                hidden_note()
            elif scores is None or pair is None:
                _no_verdict(pair)
            else:
                verdict_panel(scores, pair, choice.truth if revealed.truth else None)
    if revealed.verdict:
        found = study_boxes(study)
        boxes_found = () if found is None else found.boxes
        annotation_panel(study, choice, boxes_found, truth=revealed.truth)
    study_details(study, scores, pair, choice)
    state.show_slice_in_url()


def _explanation(study: OpenStudy, scores: StudyScores, pair: BundlePair) -> list[Overlay]:
    """The heat map of a chosen vertebra, or why there is none to choose."""
    config = pair.fracture.config
    if not config.explains_slices:
        st.caption(BOXES_EXPLAIN if config.gives_boxes else MEMBERS_EXPLAIN)
        return []
    heat = explanation_layer(study, scores, pair, explanation_picker(pair.fracture))
    return [] if heat is None else [heat]


def _start(study: OpenStudy, scores: StudyScores | None) -> int:
    """First slice to show: the most suspicious of the linked vertebra or study, else the middle."""
    if scores is None:
        return study.volume.n_slices // 2
    linked = state.linked_vertebra(VERTEBRAE)
    return scores.peak_slice if linked is None else scores.peaks[VERTEBRAE.index(linked)]


def _ribbon(scores: StudyScores | None, pair: BundlePair | None) -> Ribbon | None:
    if scores is None or pair is None:
        return None
    point = operating_point(pair.fracture, "slice")
    return Ribbon.of_scores(scores, point.threshold if point.rule else None)


def _no_verdict(pair: BundlePair | None) -> None:
    reason = (
        "No verdict without networks. The slices can be browsed."
        if pair is None
        else "No verdict yet: the networks have not scored this study."
    )
    blank(reason)


def study_details(
    study: OpenStudy, scores: StudyScores | None, pair: BundlePair | None, choice: StudyChoice
) -> None:
    """Show the profile, second opinions and report; nothing before the networks have run."""
    if scores is None or pair is None:
        return
    profile, others, report = st.tabs(
        ["Along the cervical spine", "Second opinions", "Report"], key="details"
    )
    with profile:
        st.caption(
            "Left: extents of C1 to C7 along the table axis. Right: fracture probability of each "
            "slice; a peak inside one vertebra is more convincing than one between two."
        )
        show_chart(
            z_profile_figure(scores, state.current_slice()),
            "z_profile",
            "Slice fracture probability along z, with the extents of C1 to C7",
        )
    with others:
        opinions_panel(study)
    with report:
        report_download(study, scores, pair, choice)

"""The 3D scene of one study with what belongs to it, redrawn apart from the rest of the page."""

from __future__ import annotations

import time

import streamlit as st

from core.models.pairs import BundlePair
from dashboard import state
from dashboard.bundle_figures import operating_point
from dashboard.components.box_request import box_request
from dashboard.components.notices import show_error
from dashboard.components.scene_3d import scene_3d
from dashboard.components.scene_details import scene_details
from dashboard.components.scene_fallback import scene_fallback
from dashboard.components.scene_files import scene_files
from dashboard.components.study_picker import StudyChoice
from dashboard.prediction_jobs import PredictionJob
from dashboard.reading import StudyReading
from dashboard.scene_routes import serve_info, serve_scene
from dashboard.scenes import (
    SceneSources,
    find_parts,
    forget_parts,
    info_of,
    predicted_boxes,
    sources_of,
    start_parts,
)
from dashboard.services import OpenStudy

_KEY = "scene_3d"
_POLL_SECONDS = 0.2
_BUILD_LIMIT_S = 90.0
_DEFAULT_THRESHOLD = 0.5


def spine_scene(
    study: OpenStudy, reading: StudyReading | None, pair: BundlePair | None, choice: StudyChoice
) -> None:
    """Show the scene, or say what it waits for.

    Args:
        study: What to look at.
        reading: What the networks say of it; None before they have run.
        pair: The networks; None where there are none.
        choice: Where the study comes from.
    """
    sources = sources_of(study, choice.record, reading)
    if sources is None:
        st.html(f'<div class="lab-blank">{_waits_for(pair)}</div>')
        return
    if find_parts(sources) is None:
        _build(sources)
        return
    _scene(sources, reading, pair, choice)


@st.fragment
def _scene(
    sources: SceneSources,
    reading: StudyReading | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """The scene in a fragment of its own: a widget elsewhere on the page leaves it alone."""
    packed = find_parts(sources)
    if packed is None:
        st.rerun()
    volume = sources.study.volume
    threshold = _threshold(pair)
    info = info_of(
        volume,
        packed,
        choice.record,
        reading,
        threshold=threshold,
        synthetic=choice.synthetic,
        predicted=predicted_boxes(sources.study),
    )
    events = scene_3d(
        serve_scene(packed, volume),
        serve_info(info),
        threshold=threshold,
        key=_KEY,
        on_threshold=_take_threshold,
    )
    box_request(sources.study)
    if events.failed is not None:
        scene_fallback(packed, info, events.failed)
    chosen = events.chosen or (info.suspect.name if info.suspect else None)
    scene_details(sources.study, packed, info, reading, chosen, choice.record, threshold)
    scene_files(packed, info, volume)


def _build(sources: SceneSources) -> None:
    """Start building the surfaces and show that it happens."""
    job = start_parts(sources)
    if job.error is not None:
        show_error(job.error, icon=":material/view_in_ar_off:")
        st.button("Try again", on_click=forget_parts, args=(sources,), icon=":material/replay:")
        return
    _wait(job, time.monotonic())


@st.fragment(run_every=_POLL_SECONDS)
def _wait(job: PredictionJob, since: float) -> None:
    if job.finished:
        st.rerun()
    waited = time.monotonic() - (job.started or since)
    if waited > _BUILD_LIMIT_S:
        st.warning(
            f"The surfaces have not come after {waited:.0f} s. Diagnosis shows the slices and the "
            "probabilities meanwhile; this page shows the scene once it is there.",
            icon=":material/hourglass_top:",
        )
        return
    st.html(
        '<div class="lab-blank">Building the surfaces of the vertebrae – '
        f"{waited:.0f} s, usually 1 to 5 s for a study that was not seen before …</div>"
    )


def _threshold(pair: BundlePair | None) -> float:
    if pair is None:
        return _DEFAULT_THRESHOLD
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    state.enter_points(pair.digest, patient=patient.threshold, vertebra=vertebra.threshold)
    return state.thresholds()[1]


def _take_threshold() -> None:
    state.take_vertebra_threshold(_KEY)


def _waits_for(pair: BundlePair | None) -> str:
    if pair is None:
        return (
            "This study has no vertebra mask and there is no network to find the vertebrae. "
            "<code>make demo-models</code> trains one; then the scene can be cut into C1–C7."
        )
    return "The scene appears once the networks have found the vertebrae."

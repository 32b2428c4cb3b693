"""The 3D scene of one study with what belongs to it, redrawn apart from the rest of the page."""

from __future__ import annotations

from concurrent.futures import Future

import streamlit as st

from core.inference.study_scores import StudyScores
from core.models.pairs import BundlePair
from core.visualization.scene_surfaces import PackedParts
from dashboard.background.futures import then
from dashboard.session import state
from dashboard.spine_3d.details import scene_details
from dashboard.spine_3d.fallback import scene_fallback
from dashboard.spine_3d.files import scene_files
from dashboard.spine_3d.routes import serve_info, serve_scene
from dashboard.spine_3d.surfaces import (
    SceneSources,
    coming_parts,
    forget_parts,
    info_of,
    parts_error,
    predicted_boxes,
    sources_of,
    whole_info,
)
from dashboard.spine_3d.viewer import scene_3d
from dashboard.studies.bundle_figures import operating_point
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.box_request import box_request
from dashboard.widgets.notices import show_error
from dashboard.widgets.study_picker import StudyChoice

_KEY = "scene_3d"
_POLL_SECONDS = 1.0
_DEFAULT_THRESHOLD = 0.5


def spine_scene(
    study: OpenStudy, reading: StudyScores | None, pair: BundlePair | None, choice: StudyChoice
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
    _scene(sources, reading, pair, choice)


@st.fragment
def _scene(
    sources: SceneSources,
    reading: StudyScores | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """The scene in a fragment of its own: a widget elsewhere on the page leaves it alone.

    The browser asks for the surfaces while they are being built and gets ready meanwhile; the
    script does not wait for them.
    """
    volume = sources.study.volume
    threshold = _threshold(pair)
    info = info_of(
        volume,
        choice.record,
        reading,
        threshold=threshold,
        synthetic=choice.synthetic,
        predicted=predicted_boxes(sources.study),
    )
    key, coming = sources.key(), coming_parts(sources)
    if _refused(sources):
        return
    events = scene_3d(
        serve_scene(key, coming, volume),
        serve_info(key + info.digest(), then(coming, lambda packed: whole_info(info, packed))),
        built=coming.done(),
        threshold=threshold,
        key=_KEY,
        on_threshold=_take_threshold,
    )
    box_request(sources.study)
    if not events.settled:
        # Their chart would have the browser load and run megabytes before it draws the scene.
        st.html('<div class="lab-blank">Slices, figures and files follow the scene.</div>')
        return
    if not coming.done():
        _late(coming)
        return
    packed = coming.result()
    info = whole_info(info, packed)
    if events.failed is not None:
        scene_fallback(packed, info, events.failed)
    chosen = events.chosen or (info.suspect.name if info.suspect else None)
    scene_details(sources.study, packed, info, reading, chosen, choice.record, threshold)
    scene_files(packed, info, volume)


def _refused(sources: SceneSources) -> bool:
    """Say why the surfaces could not be built, if so, and offer another try."""
    error = parts_error(sources)
    if error is None:
        return False
    show_error(error, icon=":material/view_in_ar_off:")
    st.button("Try again", on_click=forget_parts, args=(sources,), icon=":material/replay:")
    return True


@st.fragment(run_every=_POLL_SECONDS)
def _late(coming: Future[PackedParts]) -> None:
    if coming.done():
        st.rerun()
    st.warning(
        "The surfaces take longer than usual. Diagnosis shows the slices and the probabilities "
        "meanwhile; this page shows the scene once it is there.",
        icon=":material/hourglass_top:",
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

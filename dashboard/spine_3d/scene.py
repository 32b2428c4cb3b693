"""The 3D scene of one study with details and files, in a fragment."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.inference.study_scores import StudyScores
from core.models.operating_points import DEFAULT_THRESHOLD, operating_point
from core.models.pairs import BundlePair
from core.visualization.scene_surfaces import PackedParts
from dashboard.background.thread_jobs import Job
from dashboard.session import state
from dashboard.spine_3d.details import scene_details
from dashboard.spine_3d.fallback import scene_fallback
from dashboard.spine_3d.files import scene_files
from dashboard.spine_3d.routes import INFOS, SCENES, ServedInfo, ServedScene
from dashboard.spine_3d.second_renderer import second_renderer
from dashboard.spine_3d.surfaces import (
    SceneSources,
    info_of,
    predicted_boxes,
    sources_of,
    surfaces_job,
    whole_info,
)
from dashboard.spine_3d.viewer import scene_3d
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.served_bytes import proof_for
from dashboard.widgets.box_request import box_request
from dashboard.widgets.job_status import failed, poll
from dashboard.widgets.study_picker import StudyChoice

_KEY = "scene_3d"


def spine_scene(
    study: OpenStudy, scores: StudyScores | None, pair: BundlePair | None, choice: StudyChoice
) -> None:
    """Show the scene, or what is missing for it.

    Args:
        study: Study to show.
        scores: Scores of the networks; None before they have run.
        pair: The networks; None if there are none.
        choice: Source of the study.
    """
    sources = sources_of(study, choice.record, scores)
    if sources is None:
        st.html(f'<div class="lab-blank">{_waits_for(pair)}</div>')
        return
    _scene(sources, scores, pair, choice)


@st.fragment
def _scene(
    sources: SceneSources,
    scores: StudyScores | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """Draw the scene in a fragment, so that widgets elsewhere on the page do not redraw it.

    The browser requests the surfaces while they are being built; the script does not wait.
    """
    volume = sources.study.volume
    threshold = _threshold(pair)
    info = info_of(
        volume,
        choice.record,
        scores,
        threshold=threshold,
        synthetic=choice.synthetic,
        predicted=predicted_boxes(sources.study),
    )
    job = surfaces_job(sources)
    if failed(job, icon=":material/view_in_ar_off:", key="surfaces_again"):
        return
    key, owner = sources.key(), sources.study.owner
    events = scene_3d(
        SCENES.register(key, ServedScene(job.future, volume, owner)),
        INFOS.register(
            key + info.digest(), ServedInfo(job.future, partial(whole_info, info), owner)
        ),
        proof=proof_for(owner, state.session_name()),
        built=job.finished,
        threshold=threshold,
        key=_KEY,
        on_threshold=_take_threshold,
    )
    box_request(sources.study)
    if not events.settled:
        # Their chart would make the browser load megabytes before it draws the scene.
        st.html('<div class="lab-blank">Slices, figures and files appear after the scene.</div>')
        return
    if not job.finished:
        poll(lambda: _late(job), every=1.0)
        return
    packed = job.future.result()
    info = whole_info(info, packed)
    if events.failed is not None:
        scene_fallback(packed, info, volume, events.failed)
    else:
        second_renderer(packed, info, volume)
    chosen = events.chosen or (info.suspect.name if info.suspect else None)
    scene_details(sources.study, packed, info, scores, chosen, choice.record, threshold)
    scene_files(packed, info, volume)


def _late(job: Job[PackedParts]) -> bool:
    st.warning(
        "Building the surfaces takes longer than usual. Diagnosis shows the slices and the "
        "probabilities meanwhile; the scene appears here once it is ready.",
        icon=":material/hourglass_top:",
    )
    return not job.finished


def _threshold(pair: BundlePair | None) -> float:
    if pair is None:
        return DEFAULT_THRESHOLD
    patient, vertebra = (operating_point(pair.fracture, level) for level in ("patient", "vertebra"))
    state.enter_points(pair.digest, patient=patient.threshold, vertebra=vertebra.threshold)
    return state.thresholds()[1]


def _take_threshold() -> None:
    state.take_vertebra_threshold(_KEY)


def _waits_for(pair: BundlePair | None) -> str:
    if pair is None:
        return (
            "This study has no vertebra mask, and there is no network that finds the vertebrae. "
            "<code>make demo-models</code> trains one; the scene is then divided into C1–C7."
        )
    return "The scene appears once the networks have found the vertebrae."

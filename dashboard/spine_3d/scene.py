"""The 3D scene of one study with details and files, in a fragment."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import streamlit as st

from core.constants import VERTEBRAE
from core.inference.study_scores import StudyScores
from core.inference.verdict import StudyVerdict, judge
from core.models.operating_points import DEFAULT_THRESHOLD, operating_point
from core.models.pairs import BundlePair
from core.visualization.scene import (
    SceneInfo,
    scene_info,
    scene_levels,
    true_boxes,
)
from core.visualization.scene_sources import SceneSources, scene_sources
from core.visualization.scene_surfaces import PackedParts
from dashboard.background.job import Job
from dashboard.session import link, state
from dashboard.spine_3d.details import scene_details
from dashboard.spine_3d.files import scene_files
from dashboard.spine_3d.routes import INFOS, SCENES, ServedInfo, ServedScene
from dashboard.spine_3d.second_renderer import second_renderer
from dashboard.spine_3d.surfaces import predicted_boxes, surfaces_job, whole_info
from dashboard.spine_3d.viewer.component import Wanted, scene_3d
from dashboard.studies.cohort import shipped_segmenter
from dashboard.studies.open_study import OpenStudy, cache_of
from dashboard.studies.served_bytes import proof_for
from dashboard.tour.reveal import hidden_note, reveal_switch
from dashboard.widgets.box_request import box_request
from dashboard.widgets.frame import blank
from dashboard.widgets.job_status import failed, poll
from dashboard.widgets.series_facts import facts_line, series_facts
from dashboard.widgets.study_picker import StudyChoice
from dashboard.widgets.verdict_card import verdict_card

_KEY = "scene_3d"
_WANTED = "_scene_wanted"


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
    sources = scene_sources(
        study.volume, study.fingerprint, choice.record, scores, shipped_segmenter()
    )
    if sources is None:
        blank(_waits_for(pair))
        return
    _scene(study, sources, scores, pair, choice)


@st.fragment
def _scene(
    study: OpenStudy,
    sources: SceneSources,
    scores: StudyScores | None,
    pair: BundlePair | None,
    choice: StudyChoice,
) -> None:
    """Draw the scene in a fragment, so that widgets elsewhere on the page do not redraw it.

    The browser requests the surfaces while they are being built; the script does not wait.
    """
    cache, owner = cache_of(study), study.owner
    with facts_line():
        series_facts(study, choice)
        revealed = reveal_switch(study.fingerprint, labelled=choice.record is not None)
    threshold = _threshold(pair)
    verdict = _verdict(scores, pair) if revealed.verdict else None
    with st.container(key="scene_verdict"):
        if verdict is not None:
            st.html(verdict_card(verdict))
    # No vertebra is coloured as fractured where no call is made.
    judged = verdict is None or verdict.calls.patient is not None
    whole = _info(study, scores if revealed.verdict else None, choice, threshold, judged=judged)
    info = whole if revealed.truth else replace(whole, true_boxes=())
    if not revealed.verdict:
        info = replace(info, predicted_boxes=())
    lines = revealed.truth
    job = surfaces_job(study, sources)
    if failed(job, icon=":material/view_in_ar_off:", key="surfaces_again"):
        return
    key = sources.key(cache)
    events = scene_3d(
        SCENES.register(key, ServedScene(job.future, study.volume, owner)),
        INFOS.register(
            f"{key}{info.digest()}{'' if lines else ' without lines'}",
            ServedInfo(job.future, partial(whole_info, info, owner=owner, lines=lines), owner),
        ),
        proof=proof_for(owner, state.session_name()),
        built=job.finished,
        threshold=threshold,
        wanted=_wanted(),
        key=_KEY,
        on_threshold=_take_threshold,
    )
    if not revealed.verdict:
        hidden_note()
        return
    box_request(study)
    if not events.settled:
        # Their chart would make the browser load megabytes before it draws the scene.
        blank("Slices, figures and files appear after the scene.")
        return
    if not job.finished:
        poll(lambda: _late(job), every=1.0)
        return
    packed = job.future.result()
    info = whole_info(info, packed, owner, lines=lines)
    second_renderer(study, packed, info, failure=events.failed)
    clicked = None if link.came_back() else events.chosen
    if clicked is not None:
        link.show(state.VERTEBRA_QUERY, clicked if clicked in VERTEBRAE else None)
    linked = state.linked_vertebra(VERTEBRAE)
    chosen = clicked or linked or (info.suspect.name if info.suspect else None)
    truth = choice.truth if revealed.truth else None
    point = None if pair is None else operating_point(pair.fracture, "vertebra")
    scene_details(study, packed, info, scores, verdict, chosen, truth, threshold, point)
    scene_files(study, packed, whole_info(whole, packed, owner))


def _info(
    study: OpenStudy,
    scores: StudyScores | None,
    choice: StudyChoice,
    threshold: float,
    *,
    judged: bool,
) -> SceneInfo:
    """Everything that is known of a scene before its surfaces are."""
    return scene_info(
        study.volume,
        None,
        scene_levels(scores, judged=judged),
        true_boxes=true_boxes(choice.record, study.volume),
        predicted_boxes=predicted_boxes(study),
        start_slice=None if scores is None else scores.peak_slice,
        threshold=threshold,
        synthetic=choice.synthetic,
    )


def _wanted() -> Wanted:
    """Vertebra that the viewer has to choose after Back or Forward."""
    wanted: Wanted = state.recall(_WANTED, Wanted(None, 0))
    if link.came_back():
        wanted = Wanted(state.linked_vertebra(VERTEBRAE), wanted.serial + 1)
        state.remember(_WANTED, wanted)
    return wanted


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


def _verdict(scores: StudyScores | None, pair: BundlePair | None) -> StudyVerdict | None:
    """The verdict at the current thresholds; None before the networks have run."""
    if scores is None or pair is None:
        return None
    patient, vertebra = state.thresholds()
    return judge(scores, pair, patient=patient, vertebra=vertebra)


def _take_threshold() -> None:
    state.take_vertebra_threshold(_KEY)


def _waits_for(pair: BundlePair | None) -> str:
    if pair is None:
        return (
            "This study has no vertebra mask, and there is no network that finds the vertebrae. "
            "<code>make demo-models</code> trains one; the scene is then divided into C1–C7."
        )
    return "The scene appears once the networks have found the vertebrae."

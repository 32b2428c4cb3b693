"""The model's scores of a study's cases: those that are stored, and the others computed."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import streamlit as st

from core.dataset.rsna import IMAGES_FOLDER
from core.errors import BundleError, CSpineError, ReaderStudyError
from core.inference.study_scores import StudyScores
from core.models.bundles import BundleInfo
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair, preferred_fracture_bundle, vertebra_for
from core.reader_study.records import CaseScores, ModelScores, ReaderStudy
from core.types import Progress
from dashboard.background.budget import BATCHES
from dashboard.background.job import Job
from dashboard.background.thread_jobs import JobPool
from dashboard.reader_study.services import reader_studies
from dashboard.session.access import check_allowed
from dashboard.session.session_end import whose
from dashboard.session.settings import settings
from dashboard.studies.cohort import all_bundles, bundle_title
from dashboard.studies.predictions import predict_stored, prediction_slot, stored_scores


def offered_models() -> list[BundleInfo]:
    """The shipped networks that call fractures, the preferred one first."""
    able = [bundle for bundle in all_bundles() if bundle.config.gives_fractures]
    first = preferred_fracture_bundle(able)
    return sorted(able, key=lambda bundle: bundle != first)


def pair_of(fracture: BundleInfo) -> BundlePair | None:
    """The networks that score studies with this one; None if the vertebra network is missing."""
    with suppress(BundleError):
        return BundlePair(vertebra_for(fracture, settings().checkpoints), fracture)
    return None


def start_scoring(study: ReaderStudy, pair: BundlePair) -> Job[None]:
    """Score the cases of a study in the background and keep the scores with it.

    Raises:
        ReaderStudyError: The user may not change anything.
    """
    check_allowed("change", ReaderStudyError, "to score the cases of reader studies")
    store = reader_studies()

    def work(progress: Progress) -> None:
        found: list[CaseScores] = []
        for number in range(len(study.cases)):
            wait = partial(progress, number, len(study.cases))
            wait()
            folder = case_folder(study, number)
            with prediction_slot("batches", wait):
                if _stored(folder, pair) is None:
                    predict_stored(folder, pair)
            scores = _stored(folder, pair)
            if scores is None:
                raise ReaderStudyError(
                    f"The networks left no scores for case {number + 1}; score the cases again."
                )
            found.append(_case_scores(scores))
        point = operating_point(pair.fracture, "patient")
        title = bundle_title(pair.fracture)
        model = ModelScores(title=title, threshold=point.threshold, cases=tuple(found))
        store.keep_model(study.code, model)
        progress(len(study.cases), len(study.cases))

    return _pool().submit(study.code, work, **whose(None))


def find_scoring(study: ReaderStudy) -> Job[None] | None:
    """The run that scores a study's cases, if this server process has started one."""
    return _pool().find(study.code)


def case_folder(study: ReaderStudy, case: int) -> Path:
    """Folder of the DICOM files of a case."""
    return study.root / IMAGES_FOLDER / study.cases[case].study_id


def _stored(folder: Path, pair: BundlePair) -> StudyScores | None:
    """Stored scores; None also where they are damaged, so that they are computed again."""
    try:
        return stored_scores(folder, pair)
    except CSpineError:
        return None


def _case_scores(scores: StudyScores) -> CaseScores:
    patient = scores.patient
    return CaseScores.model_validate(
        {
            "prob": min(max(float(patient.patient_prob), 0.0), 1.0),
            "vertebrae": tuple(min(max(float(p), 0.0), 1.0) for p in patient.vertebra_probs),
            "slices": scores.peaks,
        }
    )


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    return JobPool("reader studies", BATCHES)

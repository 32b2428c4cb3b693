"""Boxes of a localiser: raw boxes of a study, and its held-out boxes and their measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.detection.files import fused_table
from core.evaluation.detection.matching import BoxTable
from core.evaluation.detection.report import DetectionReport, evaluate_detection, overlap_at
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.inference.boxes.tracks import Detections, FusionSettings, detect
from core.models.bundles import BundleInfo, read_bundle
from core.types import BoxPrediction, FloatArray, Progress
from dashboard.background.budget import PREDICTIONS
from dashboard.background.job import Job
from dashboard.background.thread_jobs import JobPool
from dashboard.session import state
from dashboard.session.access import check_allowed
from dashboard.session.session_end import asking_session, whose
from dashboard.session.settings import settings
from dashboard.studies.cohort import bundle_key, bundle_title, bundles, files_signature
from dashboard.studies.on_screen import wish_for
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predictions import prediction_slot
from dashboard.studies.raw_boxes import find_raw, keep_raw, raw_file
from dashboard.studies.shipped import held_out_boxes

if TYPE_CHECKING:
    from core.inference.boxes.predictor import BoxPredictor

PICTURES_FILE: Final = "pictures.parquet"


BOXES_KEY: Final = "boxes_by"
"""Key of the localiser whose boxes Diagnosis and 3D draw."""


def localizers() -> list[BundleInfo]:
    """Every localisation bundle, shipped ones first."""
    return bundles("localization")


def localizer_in_use() -> BundleInfo | None:
    """The chosen localiser, else the first; None if there is none."""
    found = {bundle_key(bundle): bundle for bundle in localizers()}
    return found.get(state.recall(BOXES_KEY)) or next(iter(found.values()), None)


def default_threshold(bundle: BundleInfo) -> float:
    """Minimum score at the operating point of the bundle; 0.5 without one."""
    return float((bundle.operating_points or {}).get("box", {}).get("threshold", 0.5))


@st.cache_resource(max_entries=24, show_spinner="Fusing the boxes of the held-out studies …")
def fused_boxes(bundle: str, digest: str, chosen: FusionSettings) -> BoxTable:
    """Every held-out box after fusion; `digest` is part of the key only."""
    del digest
    cohort = held_out_boxes(read_bundle(Path(bundle)))
    if cohort is None:
        raise ValueError("The bundle ships no boxes.")
    return fused_table(cohort.raw, chosen)


@st.cache_resource(max_entries=48, show_spinner=False)
def held_out_report(
    bundle: str, digest: str, chosen: FusionSettings, threshold: float
) -> DetectionReport:
    """Held-out measures at a minimum score; intervals from 60 resamples of the patients."""
    cohort = held_out_boxes(read_bundle(Path(bundle)))
    if cohort is None:
        raise ValueError("The bundle ships no boxes.")
    return evaluate_detection(
        fused_boxes(bundle, digest, chosen), cohort.truth, cohort.n_slices, threshold=threshold,
        replicates=60,
    )  # fmt: skip


@st.cache_resource(max_entries=24, show_spinner=False)
def held_out_overlaps(
    bundle: str, digest: str, chosen: FusionSettings, thresholds: tuple[float, ...]
) -> FloatArray:
    """Mean overlap of the held-out boxes from each of several minimum scores; float64 (t,)."""
    cohort = held_out_boxes(read_bundle(Path(bundle)))
    if cohort is None:
        raise ValueError("The bundle ships no boxes.")
    fused = fused_boxes(bundle, digest, chosen)
    return overlap_at(fused, cohort.truth, np.asarray(thresholds))


def held_out_pictures(bundle: BundleInfo) -> pd.DataFrame | None:
    """Slices with a true box: left, top, right, bottom, jpeg by study_id and slice_index."""
    file = bundle.folder / PREDICTIONS_FOLDER / PICTURES_FILE
    return _pictures(str(file), files_signature(file)) if file.is_file() else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _pictures(file: str, signature: str) -> pd.DataFrame:
    del signature
    return pd.read_parquet(file).set_index(["study_id", "slice_index"])


@dataclass(frozen=True, slots=True)
class StudyBoxes:
    """Boxes that a localiser found in a study.

    Attributes:
        boxes: Fused boxes on slices, at or above the operating point.
        threshold: Minimum score at the operating point.
        model: Name of the bundle.
    """

    boxes: tuple[BoxPrediction, ...]
    threshold: float
    model: str


def study_boxes(study: OpenStudy) -> StudyBoxes | None:
    """Boxes of the localiser in use; None if it has not run on the study."""
    first = first_detections(study)
    if first is None:
        return None
    bundle, found = first
    threshold = default_threshold(bundle)
    found = found.above(threshold)
    boxes = as_boxes(found.slice_index, found.xyxy, found.scores)
    return StudyBoxes(boxes, threshold, bundle_title(bundle))


def first_detections(study: OpenStudy) -> tuple[BundleInfo, Detections] | None:
    """The localiser in use and its fused boxes at every score; None if it has not run."""
    bundle = localizer_in_use()
    raw = None if bundle is None else find_raw(study, bundle)
    return None if bundle is None or raw is None else (bundle, detect(raw, FusionSettings()))


def as_boxes(
    slices: NDArray[np.int64], xyxy: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[BoxPrediction, ...]:
    """Convert arrays of boxes to `BoxPrediction`.

    Args:
        slices: Slice index of each box, int64 (k,).
        xyxy: Edges in pixels of the slice, float64 (k, 4).
        scores: Scores in [0, 1], float64 (k,).
    """
    return tuple(
        BoxPrediction((x0, y0, x1, y1), int(index), float(score))
        for index, (x0, y0, x1, y1), score in zip(slices, xyxy.tolist(), scores, strict=True)
    )


def start_boxes(study: OpenStudy, bundle: BundleInfo) -> Job[None]:
    """Run the localiser on a study in the background and store its raw boxes.

    Raises:
        PredictionsError: The user may not use this server.
    """
    check_allowed("look", PredictionsError, "to run networks")
    file = raw_file(study, bundle)
    before = files_signature(file)

    def work(progress: Progress) -> None:
        with prediction_slot("boxes", partial(progress, 0, 0)):
            # Another server process may have run it meanwhile.
            if files_signature(file) == before:
                predictor = _predictor(str(bundle.folder), bundle.config.weights_sha256)
                keep_raw(file, predictor.predict(study.volume, progress=progress))

    return _pool().submit(str(file), work, **whose(study.owner), wish=wish_for(study, "boxes"))


def stop_boxes(study: OpenStudy, bundle: BundleInfo) -> None:
    """End a run for this session; it goes on for other sessions that show the study."""
    _pool().withdraw(asking_session(), str(raw_file(study, bundle)))


def find_box_job(study: OpenStudy, bundle: BundleInfo) -> Job[None] | None:
    """Run of this localiser on this study, if it was started since the server started."""
    return _pool().find(str(raw_file(study, bundle)))


@lru_cache(maxsize=2)
def _predictor(folder: str, digest: str) -> BoxPredictor:
    """A loaded localiser; `digest` is part of the key only."""
    del digest
    # Here because it imports torch, which takes seconds.
    from core.inference.boxes.predictor import BoxPredictor

    return BoxPredictor([read_bundle(Path(folder))])


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    limits = settings()
    allowed = replace(PREDICTIONS, at_once=limits.max_predictions, waiting=limits.max_waiting)
    return JobPool("boxes", allowed)

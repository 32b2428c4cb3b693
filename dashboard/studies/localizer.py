"""Cached calls into core for the Localization page: raw boxes of a study and of the cohort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.evaluation.detection.files import BoxTables, fused_table, read_box_cohort
from core.evaluation.detection.matching import BoxTable
from core.evaluation.detection.report import DetectionReport, evaluate_detection
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.inference.boxes.tracks import FusionSettings, detect
from core.models.bundles import BundleInfo, read_bundle
from core.types import BoxPrediction, Progress
from dashboard.background.thread_jobs import Job, JobPool
from dashboard.session.settings import settings
from dashboard.studies.cohort import bundles, files_signature
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.raw_boxes import find_raw, keep_raw, raw_file

if TYPE_CHECKING:
    from core.inference.boxes.predictor import BoxPredictor

PICTURES_FILE: Final = "pictures.parquet"


def localizers() -> list[BundleInfo]:
    """Every localisation bundle, by name."""
    return bundles("localization")


def default_threshold(bundle: BundleInfo) -> float:
    """Score of the bundle's operating point; 0.5 where it has none."""
    return float((bundle.operating_points or {}).get("box", {}).get("threshold", 0.5))


def cohort_of(bundle: BundleInfo) -> BoxTables | None:
    """The held-out boxes that a bundle ships; None where it ships none.

    Raises:
        PredictionsError: They are broken.
    """
    folder = bundle.folder / PREDICTIONS_FOLDER
    if not (folder / "raw_boxes.parquet").is_file():
        return None
    return _cohort(str(folder), files_signature(*sorted(folder.iterdir())))


@st.cache_resource(max_entries=4, show_spinner=False)
def _cohort(folder: str, signature: str) -> BoxTables:
    del signature
    return read_box_cohort(Path(folder))


@st.cache_resource(max_entries=24, show_spinner="Fusing the boxes of the held-out studies …")
def fused(bundle: str, digest: str, chosen: FusionSettings) -> BoxTable:
    """Every held-out box after fusion; `digest` is part of the key only."""
    del digest
    cohort = cohort_of(read_bundle(Path(bundle)))
    if cohort is None:
        raise ValueError("The bundle ships no boxes.")
    return fused_table(cohort.raw, chosen)


@st.cache_resource(max_entries=48, show_spinner=False)
def report_of(
    bundle: str, digest: str, chosen: FusionSettings, threshold: float
) -> DetectionReport:
    """The held-out measures at a threshold; intervals by 60 resamples of the patients."""
    cohort = cohort_of(read_bundle(Path(bundle)))
    if cohort is None:
        raise ValueError("The bundle ships no boxes.")
    return evaluate_detection(
        fused(bundle, digest, chosen), cohort.truth, cohort.n_slices, threshold=threshold,
        replicates=60,
    )  # fmt: skip


def pictures_of(bundle: BundleInfo) -> pd.DataFrame | None:
    """The slices that carry a true box: study_id, slice_index, left, top, right, bottom, jpeg."""
    file = bundle.folder / PREDICTIONS_FOLDER / PICTURES_FILE
    return _pictures(str(file), files_signature(file)) if file.is_file() else None


@st.cache_resource(max_entries=2, show_spinner=False)
def _pictures(file: str, signature: str) -> pd.DataFrame:
    del signature
    return pd.read_parquet(file).set_index(["study_id", "slice_index"])


@dataclass(frozen=True, slots=True)
class StudyBoxes:
    """What a localiser found in a study.

    Attributes:
        boxes: Fused boxes on slices, those of its operating point and above.
        threshold: Score of that point.
        model: Name of the bundle.
    """

    boxes: tuple[BoxPrediction, ...]
    threshold: float
    model: str


def study_boxes(study: OpenStudy) -> StudyBoxes | None:
    """The boxes of the first localiser that has read a study; None where none has."""
    for bundle in localizers():
        raw = find_raw(study, bundle)
        if raw is not None:
            least = default_threshold(bundle)
            found = detect(raw, FusionSettings()).above(least)
            boxes = as_boxes(found.slice_index, found.xyxy, found.scores)
            return StudyBoxes(boxes, least, bundle.config.name)
    return None


def as_boxes(
    slices: NDArray[np.int64], xyxy: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[BoxPrediction, ...]:
    """Rows of boxes as the viewer takes them.

    Args:
        slices: Index of each box's slice, (k,).
        xyxy: Pixels of the slice, (k, 4).
        scores: In [0, 1], (k,).
    """
    return tuple(
        BoxPrediction((x0, y0, x1, y1), int(index), float(score))
        for index, (x0, y0, x1, y1), score in zip(slices, xyxy.tolist(), scores, strict=True)
    )


def start_boxes(study: OpenStudy, bundle: BundleInfo) -> Job[None]:
    """Have the localiser read a study in the background and store its raw boxes."""
    file = raw_file(study, bundle)

    def work(progress: Progress) -> None:
        predictor = _predictor(str(bundle.folder), bundle.config.weights_sha256)
        keep_raw(file, predictor.predict(study.volume, progress=progress))

    return _pool().submit(file.stem, work)


def find_box_job(study: OpenStudy, bundle: BundleInfo) -> Job[None] | None:
    """The run of this localiser over this study, if one was started since the server was."""
    return _pool().find(raw_file(study, bundle).stem)


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
    return JobPool("boxes", limits.max_predictions, most_waiting=limits.max_waiting)

"""What the bundles ship for studies of the shipped cohorts: scores of slices and raw boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from core.evaluation.detection.files import BoxTables, read_box_cohort
from core.experiments.cohorts import PREDICTIONS_FOLDER, SHIPPED, ShippedCohort
from core.inference.outputs import read_slices
from core.inference.study_scores import StudyScores, score_study
from core.models.bundles import BundleInfo
from core.models.pairs import BundlePair
from core.types import CTVolume, RawDetections, SlicePredictions
from dashboard.background.shelf import Shelf
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature

MADE_FOLDER: Final = "synthetic"
_SAME_MM: Final = 0.01
_SCORED: Final = Shelf[StudyScores](64)


@dataclass(frozen=True, slots=True)
class ShippedScores:
    """Scores that a bundle ships for a study.

    Attributes:
        scores: Scores of the study.
        cohort: Cohort of the study.
        fold: Fold of the study where networks that were not trained on it scored it; None where
            the bundle's own networks did.
    """

    scores: StudyScores
    cohort: ShippedCohort
    fold: int | None

    @property
    def origin(self) -> str:
        """One sentence on where the scores are from."""
        if self.fold is None:
            return "Scores shipped with the networks, which were not trained on this study."
        return (
            f"Scores shipped with the networks: out of fold {self.fold}, by networks that were not "
            "trained on this study."
        )


def made_root() -> Path:
    """Folder of the studies made on demand, in RSNA's layout."""
    return settings().cspine_var / MADE_FOLDER


def shipped_scores(volume: CTVolume, pair: BundlePair) -> ShippedScores | None:
    """Scores that the pair's fracture bundle ships for a study made on demand, if it does.

    Args:
        volume: Series of the study.
        pair: Networks; another source of presence than that of the shipped scores gives None.

    Raises:
        PredictionsError: A shipped table is damaged.
    """
    if not _is_made(volume):
        return None
    names = {bundle.config.name for bundle in pair.bundles}
    for cohort in SHIPPED:
        table = cohort.predictions_file(pair.fracture.folder)
        if not table.is_file():
            continue
        signature = files_signature(table)
        found, folds = _shipped(str(table), signature)
        one = found.get(volume.study_uid)
        if one is None or set(one.models) != names or not _same_slices(one.z_mm, volume):
            continue
        key = signature, volume.study_uid
        scores = _SCORED.get(key, lambda one=one: score_study(one))
        return ShippedScores(scores, cohort, folds.get(volume.study_uid))
    return None


def shipped_raw(volume: CTVolume, bundle: BundleInfo) -> RawDetections | None:
    """Raw boxes that a localiser ships for a study made on demand, if it does.

    Raises:
        PredictionsError: The shipped tables are damaged.
    """
    cohort = held_out_boxes(bundle) if _is_made(volume) else None
    raw = () if cohort is None else cohort.raw
    found = next((one for one in raw if one.study_id == volume.study_uid), None)
    return found if found is not None and _same_slices(found.z_mm, volume) else None


def held_out_boxes(bundle: BundleInfo) -> BoxTables | None:
    """The held-out boxes that a bundle ships; None if it ships none.

    Raises:
        PredictionsError: The tables are damaged.
    """
    folder = bundle.folder / PREDICTIONS_FOLDER
    if not (folder / "raw_boxes.parquet").is_file():
        return None
    return _cohort(str(folder), files_signature(*sorted(folder.iterdir())))


@st.cache_resource(max_entries=4, show_spinner=False)
def _cohort(folder: str, signature: str) -> BoxTables:
    del signature
    return read_box_cohort(Path(folder))


@st.cache_resource(max_entries=8, show_spinner=False)
def _shipped(table: str, signature: str) -> tuple[dict[str, SlicePredictions], dict[str, int]]:
    """Predictions of a table and folds, by study id."""
    del signature
    found = {one.study_id: one for one in read_slices(Path(table))}
    rows = pd.read_parquet(table, columns=["study_id", "fold"]).dropna()
    rows = rows.drop_duplicates("study_id")
    folds = zip(rows["study_id"].astype(str), rows["fold"].astype(int), strict=True)
    return found, dict(folds)


def _is_made(volume: CTVolume) -> bool:
    """Whether a study was made on demand: only then its voxels are known to be the cohort's."""
    return volume.source_files[0].resolve().is_relative_to(made_root().resolve())


def _same_slices(z_mm: np.ndarray, volume: CTVolume) -> bool:
    same = len(z_mm) == volume.n_slices
    return same and bool(np.allclose(z_mm, volume.z_mm, atol=_SAME_MM))

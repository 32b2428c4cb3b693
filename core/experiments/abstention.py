"""Fitting what the shipped bundles need to abstain.

The distribution reference of a network that gives presence comes from synthetic studies that no
network was trained on. The conformal region of a network that predicts fractures comes from its
out-of-fold predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dataset.rsna import read_studies
from core.dicom.series import read_series
from core.evaluation.tables.score_files import read_truth_table
from core.experiments.cohorts import FOLDS, GeneratedCohort, ShippedCohort
from core.inference.conformal import fit_region
from core.inference.distribution import (
    LevelFeatures,
    fit_statistics,
    held_back_distances,
    limit_of,
)
from core.inference.outputs import read_slices
from core.inference.predictor import Predictor
from core.inference.study_scores import StudyScores, score_study
from core.models.abstention import (
    Abstention,
    CallRegion,
    DistributionReference,
    LevelStatistics,
    write_abstention,
)
from core.models.bundles import (
    BundleInfo,
    list_bundles,
    read_bundle,
)
from core.phantom.cohort import discard_outdated, write_cohort
from core.types import CTVolume, Progress, Say, StudyRecord

REFERENCE: Final = GeneratedCohort("reference", 240, 61, "for the distribution reference")
_UNFITTED: Final = "0" * 64


def fit_abstention(
    bundles: Sequence[BundleInfo],
    work: Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[str]:
    """Fit and write `abstention.json` of bundles.

    Args:
        bundles: Shipped bundles; each gets the parts that apply to it.
        work: Folder of the cohorts.
        jobs: Processes for generating the cohort.
        progress: Called with (studies done, total studies).
        say: Called with one line per step.

    Returns:
        One sentence per part that was fitted.

    Raises:
        CSpineError: As the parts raise it.
    """
    seeing = [bundle for bundle in bundles if bundle.config.gives_presence]
    features: dict[str, list[LevelFeatures]] = {}
    if seeing:
        records = made_cohort(REFERENCE, work, jobs=jobs, progress=progress, say=say)
        say(f"Features of {len(records)} reference studies")
        features = reference_features(seeing, records, progress)
    done: list[str] = []
    for bundle in bundles:
        name = bundle.config.name
        region = out_of_fold_region(bundle)
        if region is not None:
            done.append(
                f"{name}: at {region.coverage:.0%} coverage, fractured from "
                f"{region.fractured_from:.4f}, not fractured to {region.not_fractured_to:.4f}"
            )
        reference, statistics = None, None
        if name in features:
            reference, statistics = _fitted(features[name])
            done.append(
                f"{name}: distribution limit {reference.distance:.4f} from {reference.studies} "
                "studies held back in turn"
            )
        if region is not None or reference is not None:
            content = Abstention(
                weights_sha256=bundle.config.weights_sha256, distribution=reference, region=region
            )
            write_abstention(bundle.folder, content, statistics)
    return done


def made_cohort(
    cohort: GeneratedCohort,
    work: Path,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> list[StudyRecord]:
    """Generate a cohort unless it is there, and list its studies."""
    root = work / cohort.name
    discard_outdated(root, cohort.recipe)
    say(
        f"Cohort {cohort.name}: {cohort.studies} synthetic studies, seed {cohort.seed}, "
        f"{cohort.role}"
    )
    write_cohort(
        root, studies=cohort.studies, seed=cohort.seed, jobs=jobs, recipe=cohort.recipe,
        progress=progress,
    )  # fmt: skip
    return read_studies(root)


def reference_features(
    bundles: Sequence[BundleInfo], records: Sequence[StudyRecord], progress: Progress | None = None
) -> dict[str, list[LevelFeatures]]:
    """Level features of every study by bundle name; each study is read once."""
    predictors = {bundle.config.name: Predictor(bundle, None) for bundle in bundles}
    found: dict[str, list[LevelFeatures]] = {name: [] for name in predictors}
    for number, record in enumerate(records):
        volume = _volume_of(record)
        for name, predictor in predictors.items():
            levels = predictor.see(volume, features=True).features
            # A scan without a level is refused for its levels, not for its distance.
            if levels is not None and levels.slices.any():
                found[name].append(levels)
        if progress is not None:
            progress(number + 1, len(records))
    return found


def out_of_fold_region(bundle: BundleInfo) -> CallRegion | None:
    """Fit the region to a bundle's out-of-fold predictions; None if it has none."""
    file = FOLDS.predictions_file(bundle.folder)
    if not (bundle.config.gives_fractures and file.is_file()):
        return None
    scores, fractured = stored_scores(bundle, FOLDS)
    return fit_region(
        np.array([one.patient.patient_prob for one in scores]),
        fractured,
        chosen_on=f"out-of-fold predictions of {len(scores)} studies",
    )


def shipped_bundles(checkpoints: Path, folders: Sequence[Path] = ()) -> list[BundleInfo]:
    """The named bundles, or all of `checkpoints`.

    Raises:
        BundleError: A named folder is not a bundle.
    """
    return [read_bundle(folder) for folder in folders] or list_bundles(checkpoints)


def stored_scores(
    bundle: BundleInfo, cohort: ShippedCohort
) -> tuple[list[StudyScores], NDArray[np.bool_]]:
    """Scores of a cohort's stored predictions, and the truth of the patients."""
    truth = read_truth_table(cohort.truth_file(bundle.folder.parent))
    names: list[str] = truth.study_ids.tolist()
    patients: list[bool] = np.asarray(truth.fractured.any(axis=1)).tolist()
    fractured = dict(zip(names, patients, strict=True))
    scores = [score_study(study) for study in read_slices(cohort.predictions_file(bundle.folder))]
    known = [one for one in scores if one.predictions.study_id in fractured]
    return known, np.array([fractured[one.predictions.study_id] for one in known], np.bool_)


def _volume_of(record: StudyRecord) -> CTVolume:
    return read_series(record.folder)


def _fitted(studies: Sequence[LevelFeatures]) -> tuple[DistributionReference, LevelStatistics]:
    distances = held_back_distances(studies)
    limit = limit_of(distances)
    reference = DistributionReference(
        cohort={"name": REFERENCE.name, **REFERENCE.made_from()},
        studies=len(studies),
        distance=limit,
        scores=tuple(round(float(d), 5) for d in np.sort(distances) / limit),
        # Replaced by the digest of the arrays when they are written.
        arrays_sha256=_UNFITTED,
    )
    return reference, fit_statistics(studies)

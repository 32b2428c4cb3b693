"""Predictions of a finished run on the patients that it held out."""

from __future__ import annotations

import time
from pathlib import Path

from core.annotations.corrections import studies_of
from core.config import RunConfig, load_run_config
from core.dicom.series import read_series
from core.errors import ConfigError, DicomSeriesError, TrainingError
from core.evaluation.detection.files import write_box_cohort
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.experiments.cross_validation import pair_of
from core.experiments.localizer_cohort import localize_cohort
from core.inference.outputs import write_predictions
from core.inference.predictor import Predictor
from core.models.bundles import BundleInfo, read_bundle
from core.training.cohort import saved_folds
from core.training.run_files import RunFiles
from core.types import Progress, SlicePredictions, Store, StudyRecord


def score_run(folder: Path, *, store: Store, checkpoints: Path, progress: Progress) -> Path:
    """Predict the held-out patients of a run: scores of a slice network, boxes of a localiser.

    Args:
        folder: Folder of a finished run with one held-out fold.
        store: Store of prepared slices.
        checkpoints: Folder of the shipped bundles, one of which is paired with the run's network.
        progress: Called with (studies done, total studies).

    Returns:
        Folder of the predictions: `predictions` in that of the run, or for a localiser in that of
        its bundle.

    Raises:
        ConfigError: The run holds out no fold, or all in turn, which it has predicted itself.
        TrainingError: No held-out study can be read.
        BundleError, DataRootError, StorageError: As the parts raise them.
    """
    run = RunFiles(folder)
    config, bundle = load_run_config(run.config_file), read_bundle(run.bundle)
    if not isinstance(config.fold, int):
        raise ConfigError(f"{folder} has no single held-out fold; choose a run that has one.")
    if bundle.config.gives_labels:
        raise ConfigError(
            f"{folder} is a segmenter's run, whose figures on the held-out fold are in its "
            "metrics.json; choose a run of another task."
        )
    records = studies_of(config.data_root, config.annotations)
    folds = saved_folds(records, config, store)
    held_out = [record for record in records if folds[record.study_id] == config.fold]
    if bundle.config.gives_boxes:
        target = run.bundle / PREDICTIONS_FOLDER
        found = localize_cohort(bundle, config.data_root, held_out, store, progress=progress)
        write_box_cohort(target, found)
        return target
    target = folder / PREDICTIONS_FOLDER
    scores, seconds = _scores(config, bundle, held_out, checkpoints, progress)
    write_predictions(target, scores, seconds=seconds, single=False, folds=folds)
    return target


def _scores(
    config: RunConfig, bundle: BundleInfo, records: list[StudyRecord], checkpoints: Path,
    progress: Progress,
) -> tuple[list[SlicePredictions], list[float]]:  # fmt: skip
    """Predictions of the readable studies, and the time that each took."""
    pair = pair_of(config, bundle, checkpoints)
    predictor = Predictor(pair.vertebra, pair.fracture, device=config.device)
    found: list[SlicePredictions] = []
    seconds: list[float] = []
    problem = "there is none"
    for number, record in enumerate(records, start=1):
        start = time.perf_counter()
        try:
            found.append(predictor.predict(read_series(record.folder)))
            seconds.append(time.perf_counter() - start)
        except DicomSeriesError as error:
            problem = str(error)
        progress(number, len(records))
    if not found:
        raise TrainingError(f"No held-out study of {config.data_root} can be read: {problem}")
    return found, seconds

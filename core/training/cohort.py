"""A run's data: prepared slices of every readable study, split into training and validation."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from core.config import RunConfig
from core.data.cache import StudySlices, load_study_slices
from core.data.datasets import SliceDataset
from core.data.rsna import is_synthetic, read_studies
from core.data.splits import assign_folds
from core.errors import DicomSeriesError, TrainingError
from core.training.runs import RunFolder
from core.types import HuWindow, StudyRecord

_log = logging.getLogger("core.training")


@dataclass(frozen=True, slots=True)
class Cohort:
    """What a run learns from and is measured on.

    Attributes:
        training: The slices learnt from.
        validation: The held-out fold; None where the run trains on everything.
        synthetic: Whether the studies are generated.
    """

    training: SliceDataset
    validation: SliceDataset | None
    synthetic: bool


def load_cohort(config: RunConfig, cache_dir: Path, run: RunFolder) -> Cohort:
    """Prepare the studies of the config's data root and split them.

    A study that cannot be read is left out and named in the log.

    Raises:
        DataRootError: The data root lacks its tables, or holds fewer studies than folds.
        TrainingError: No study's truth reaches slices, or a class is missing.
        StorageError: The slice store cannot be written.
    """
    records = read_studies(config.data_root)
    studies = _prepare(records, config, cache_dir, run)
    training, validation = studies, None
    if config.fold is not None:
        folds = assign_folds(records, config.folds, config.seed)
        training = [study for study in studies if folds[study.study_id] != config.fold]
        held_out = [study for study in studies if folds[study.study_id] == config.fold]
        validation = _dataset(held_out, config, "validation")
    return Cohort(
        training=_dataset(training, config, "training"),
        validation=validation,
        synthetic=is_synthetic(config.data_root),
    )


def _prepare(
    records: list[StudyRecord], config: RunConfig, cache_dir: Path, run: RunFolder
) -> list[StudySlices]:
    window = HuWindow(config.window_center, config.window_width)
    studies: list[StudySlices] = []
    for number, record in enumerate(records):
        run.write_status("preparing", message=f"study {number + 1} of {len(records)}")
        try:
            studies.append(
                load_study_slices(
                    record, window=window, crop=config.crop, size=config.size, cache_dir=cache_dir
                )
            )
        except DicomSeriesError as error:
            _log.warning("Study left out: %s", error)
    return studies


def _dataset(studies: list[StudySlices], config: RunConfig, role: str) -> SliceDataset:
    dataset = SliceDataset(studies, config.task)
    if dataset.skipped:
        _log.warning(
            "%d studies are not used for %s: without a mask their truth does not reach slices.",
            len(dataset.skipped),
            role,
        )
    if len(dataset) == 0:
        raise TrainingError(
            f"{config.data_root} has no study whose truth reaches slices for {role}; add "
            "segmentations, or choose another fold."
        )
    positive = int(dataset.targets.any(axis=1).sum())
    if role == "training" and positive in (0, len(dataset)) and config.balanced:
        raise TrainingError(
            f"{config.data_root} has slices of one class only, so they cannot be balanced; "
            "set `balanced: false`, or add studies of the other class."
        )
    _log.info(
        "%s: %d studies, %d slices, %d of them positive.",
        role.capitalize(), len(dataset.study_ids), len(dataset), positive,
    )  # fmt: skip
    return dataset

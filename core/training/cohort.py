"""A run's data: prepared slices of every readable study, split into training and validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cache.keys import study_digests
from core.config import RunConfig
from core.dataset.index import index_folder
from core.dataset.rsna import is_synthetic, read_studies
from core.dataset.splits import assign_folds, load_or_make_folds
from core.errors import DicomSeriesError, TrainingError
from core.prepared.slice_dataset import Presences, SliceDataset
from core.prepared.slices import StudySlices, load_study_slices
from core.training.presence_labels import presence_from_bundle
from core.training.provenance import fingerprint_keys
from core.training.runs import RunFolder
from core.types import HuWindow, StudyRecord

_log = logging.getLogger("core.training")


@dataclass(frozen=True, slots=True)
class TrainingCohort:
    """What a run learns from and is measured on.

    Attributes:
        training: The slices learnt from.
        validation: The held-out fold; None where the run trains on everything.
        synthetic: Whether the studies are generated.
        fingerprint: sha256 over the content of all its studies and masks.
    """

    training: SliceDataset
    validation: SliceDataset | None
    synthetic: bool
    fingerprint: str


def load_cohort(
    config: RunConfig, cache_dir: Path, run: RunFolder, *, device: str = "cpu"
) -> TrainingCohort:
    """Prepare the studies of the config's data root and split them.

    A study that cannot be read is left out and named in the log. Fracture models learn from
    studies without masks too where `vertebra_bundle` tells what their slices show.

    Args:
        config: The run; its `fold` is a number or None.
        cache_dir: Folder of the slice store.
        run: Told how far the preparation is.
        device: Where the vertebra bundle runs.

    Raises:
        BundleError: `vertebra_bundle` cannot be used.
        DataRootError: The data root lacks its tables, or holds fewer studies than folds.
        TrainingError: No study's truth reaches slices, or a class is missing.
        StorageError: The slice store cannot be written.
    """
    records = read_studies(config.data_root)
    studies = _prepare(records, config, cache_dir, run)
    presence_of: Presences = {}
    if config.vertebra_bundle is not None and config.task == "fracture":
        presence_of = presence_from_bundle(
            _told([record for record in records if _asks_for_presence(record, config)], run),
            config.vertebra_bundle,
            cache_dir=cache_dir,
            device=device,
        )
    training, validation = studies, None
    if config.fold is not None:
        folds = saved_folds(records, config, cache_dir)
        training = [study for study in studies if folds[study.study_id] != config.fold]
        held_out = [study for study in studies if folds[study.study_id] == config.fold]
        validation = _dataset(held_out, presence_of, config, "validation")
    return TrainingCohort(
        training=_dataset(training, presence_of, config, "training"),
        validation=validation,
        synthetic=is_synthetic(config.data_root),
        fingerprint=_fingerprint(records, {study.study_id for study in studies}, cache_dir),
    )


def saved_folds(records: list[StudyRecord], config: RunConfig, cache_dir: Path) -> dict[str, int]:
    """Give the folds of a data root, kept beside its index so that they outlive every change.

    Those of generated studies are not kept: a cohort of the same name may be made anew.

    Raises:
        DataRootError: There are fewer studies than folds, or the file does not fit them.
        StorageError: The file cannot be written.
    """
    if is_synthetic(config.data_root):
        return assign_folds(records, config.folds, config.seed)
    name = f"folds-{config.folds}-seed-{config.seed}.json"
    path = index_folder(config.data_root, cache_dir) / name
    return load_or_make_folds(path, records, config.folds, config.seed)


def _fingerprint(records: list[StudyRecord], used: set[str], cache_dir: Path) -> str:
    digests = [study_digests(record, cache_dir) for record in records if record.study_id in used]
    return fingerprint_keys([json.dumps(digest, sort_keys=True) for digest in digests])


def _told(records: list[StudyRecord], run: RunFolder) -> Iterator[StudyRecord]:
    """The records, one by one; each is a sign of life of the run."""
    for number, record in enumerate(records):
        run.write_status(
            "preparing", message=f"presences, study {number + 1} of {len(records)}"
        )  # fmt: skip
        yield record


def _asks_for_presence(record: StudyRecord, config: RunConfig) -> bool:
    """Whether presences can make a study of use; Type 1 needs none for an intact one."""
    return bool(record.patient_fractured) or (config.type > 1 and record.fractured is not None)


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
                    record,
                    window=window,
                    crop=config.crop,
                    field_mm=config.field_mm,
                    size=config.size,
                    channels=config.channels,
                    noise=config.noise,
                    cache_dir=cache_dir,
                )
            )
        except DicomSeriesError as error:
            _log.warning("Study left out: %s", error)
    return studies


def _dataset(
    studies: list[StudySlices], presence_of: Presences, config: RunConfig, role: str
) -> SliceDataset:
    if config.task == "localization":
        raise TrainingError("A localiser learns from boxes; `core.training.box_trainer` trains it.")
    dataset = SliceDataset(
        studies, config.task, presence_of=presence_of, needs_presence=config.type > 1,
        target=config.fracture_target,
    )  # fmt: skip
    if dataset.skipped:
        _log.warning(
            "%d studies are not used for %s: without a mask or a `vertebra_bundle` their truth "
            "does not reach slices.",
            len(dataset.skipped),
            role,
        )
    if len(dataset) == 0:
        raise TrainingError(
            f"{config.data_root} has no study whose truth reaches slices for {role}; add "
            "segmentations, set `vertebra_bundle` for a fracture model, or choose another fold."
        )
    positive = int(dataset.positive.sum())
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

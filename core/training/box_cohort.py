"""A localisation run's data: squares around the spine with boxes, split like any other run's."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from core.cache.keys import study_digests
from core.config import RunConfig
from core.dataset.rsna import is_synthetic, read_studies
from core.errors import DicomSeriesError, TrainingError
from core.prepared.box_dataset import BoxDataset
from core.prepared.box_slices import BoxSlices, load_box_slices
from core.training.cohort import saved_folds
from core.training.provenance import fingerprint_keys
from core.training.runs import RunFolder
from core.types import HuWindow, StudyRecord

FIELD_MM = 88.0
"""Side of the square where a run does not say: it holds every box of the synthetic cohort."""
_log = logging.getLogger("core.training")


@dataclass(frozen=True, slots=True)
class BoxTrainingCohort:
    """What a localiser learns from and is measured on.

    Attributes:
        training: The slices learnt from.
        validation: The held-out fold; None where the run trains on everything.
        synthetic: Whether the studies are generated.
        fingerprint: sha256 over the content of all its studies and masks.
    """

    training: BoxDataset
    validation: BoxDataset | None
    synthetic: bool
    fingerprint: str


def load_box_cohort(config: RunConfig, cache_dir: Path, run: RunFolder) -> BoxTrainingCohort:
    """Prepare the studies of the config's data root and split them.

    A study that cannot be read is left out and named in the log; so is, in silence, a fractured
    study without boxes, as 726 of RSNA's 961: nobody said where it is broken.

    Args:
        config: The run; its `fold` is a number or None.
        cache_dir: Folder of the slice store.
        run: Told how far the preparation is.

    Raises:
        DataRootError: The data root lacks its tables, or holds fewer studies than folds.
        TrainingError: No study has a box.
        StorageError: The slice store cannot be written.
    """
    records = read_studies(config.data_root)
    studies = _prepare(records, config, cache_dir, run)
    training, validation = list(studies.values()), None
    neighbours = config.channels == "neighbours"
    if config.fold is not None:
        folds = saved_folds(records, config, cache_dir)
        training = [s for name, s in studies.items() if folds[name] != config.fold]
        held_out = [s for name, s in studies.items() if folds[name] == config.fold]
        validation = BoxDataset(held_out, neighbours=neighbours)
    learnt = BoxDataset(training, neighbours=neighbours)
    for role, dataset in (("training", learnt), ("validation", validation)):
        if dataset is not None and not dataset.boxed.any():
            raise TrainingError(
                f"{config.data_root} has no box for {role}; add train_bounding_boxes.csv, or "
                "choose another fold."
            )
    digests = [study_digests(record, cache_dir) for record in records if record.study_id in studies]
    return BoxTrainingCohort(
        training=learnt,
        validation=validation,
        synthetic=is_synthetic(config.data_root),
        fingerprint=fingerprint_keys([json.dumps(digest, sort_keys=True) for digest in digests]),
    )


def _prepare(
    records: list[StudyRecord], config: RunConfig, cache_dir: Path, run: RunFolder
) -> dict[str, BoxSlices]:
    window = HuWindow(config.window_center, config.window_width)
    studies: dict[str, BoxSlices] = {}
    for number, record in enumerate(records):
        run.write_status("preparing", message=f"study {number + 1} of {len(records)}")
        if record.patient_fractured is not False and not record.boxes:
            continue
        try:
            studies[record.study_id] = load_box_slices(
                record, window=window, field_mm=config.field_mm or FIELD_MM, size=config.size,
                cache_dir=cache_dir,
            )  # fmt: skip
        except DicomSeriesError as error:
            _log.warning("Study left out: %s", error)
    return studies

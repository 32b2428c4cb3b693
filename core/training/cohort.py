"""A run's data: prepared slices of every readable study, split into training and validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.config import RunConfig
from core.dataset.index import index_folder
from core.dataset.rsna import is_synthetic
from core.dataset.splits import assign_folds, load_or_make_folds
from core.errors import DicomSeriesError
from core.prepared.box_dataset import BoxDataset
from core.prepared.grid_dataset import GridDataset
from core.prepared.series_digests import study_digests
from core.prepared.slice_dataset import SliceDataset
from core.training.provenance import fingerprint_keys
from core.training.runs import RunFolder
from core.types import Store, StudyRecord

_log = logging.getLogger("core.training")

StudyKind = TypeVar("StudyKind")


DatasetKind = TypeVar("DatasetKind", bound=SliceDataset | BoxDataset | GridDataset)


@dataclass(frozen=True, slots=True)
class TrainingCohort(Generic[DatasetKind]):
    """Training and validation data of a run.

    Attributes:
        training: The training slices.
        validation: The held-out fold; None if the run trains on everything.
        synthetic: Whether the studies are generated.
        fingerprint: sha256 over the content of all studies and masks.
    """

    training: DatasetKind
    validation: DatasetKind | None
    synthetic: bool
    fingerprint: str


def prepare_studies(
    records: Sequence[StudyRecord],
    load: Callable[[StudyRecord], StudyKind],
    run: RunFolder,
) -> dict[str, StudyKind]:
    """Prepare studies one by one; one that cannot be read is left out and named in the log.

    Args:
        records: The studies.
        load: Prepares one study, or takes it from the store.
        run: Run folder, whose status shows the progress.

    Returns:
        Results of `load` by study id.

    Raises:
        StorageError: The slice store cannot be written.
    """
    studies: dict[str, StudyKind] = {}
    for number, record in enumerate(records):
        run.write_status("preparing", message=f"study {number + 1} of {len(records)}")
        try:
            studies[record.study_id] = load(record)
        except DicomSeriesError as error:
            _log.warning("Study left out: %s", error)
    return studies


def split_cohort(
    records: Sequence[StudyRecord],
    studies: Mapping[str, StudyKind],
    config: RunConfig,
    store: Store,
    dataset: Callable[[list[StudyKind], str], DatasetKind],
) -> TrainingCohort[DatasetKind]:
    """Hold out the config's fold.

    Args:
        records: All studies of the data root.
        studies: The prepared studies by study id.
        config: Config of the run; its `fold` is a number or None.
        store: Store of prepared slices.
        dataset: Makes a data set of studies, for "training" or "validation".

    Raises:
        DataRootError: There are fewer studies than folds.
        TrainingError: `dataset` refuses the studies.
    """
    training, held_out = list(studies.values()), None
    if config.fold is not None:
        folds = saved_folds(records, config, store)
        training = [study for name, study in studies.items() if folds[name] != config.fold]
        held_out = [study for name, study in studies.items() if folds[name] == config.fold]
    digests = [
        study_digests(record, store.folder) for record in records if record.study_id in studies
    ]
    return TrainingCohort(
        training=dataset(training, "training"),
        validation=None if held_out is None else dataset(held_out, "validation"),
        synthetic=is_synthetic(config.data_root),
        fingerprint=fingerprint_keys([json.dumps(digest, sort_keys=True) for digest in digests]),
    )


def saved_folds(records: Sequence[StudyRecord], config: RunConfig, store: Store) -> dict[str, int]:
    """Assign or load the folds of a data root, saved next to its index so that they never change.

    Folds of generated studies are not saved: a cohort of the same name may be generated again.

    Raises:
        DataRootError: There are fewer studies than folds, or the file does not fit them.
        StorageError: The file cannot be written.
    """
    if is_synthetic(config.data_root):
        return assign_folds(records, config.folds, config.seed)
    name = f"folds-{config.folds}-seed-{config.seed}.json"
    path = index_folder(config.data_root, store.folder) / name
    return load_or_make_folds(path, records, config.folds, config.seed)

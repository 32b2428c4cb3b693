"""A try of a run: one batch of a few of its studies, to find the first error in seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.annotations.corrections import studies_of
from core.config import RunConfig
from core.dataset.splits import assign_folds
from core.errors import TrainingError
from core.training.batches import Batches
from core.training.distributed import Processes, chosen_precision, start_fabric
from core.training.engine import StepReport
from core.training.job_setup import initial_state, shared_batches, train_batches
from core.training.runs import RunFolder
from core.training.trainer import TRAINING_TASKS, check_sizes
from core.types import Store, StudyRecord

STUDIES: Final = 2
"""Studies with a fracture, and as many without."""
_FOLDS: Final = 2


@dataclass(frozen=True, slots=True)
class TriedBatch:
    """A batch that was trained and, where a fold is held out, one that was measured.

    Attributes:
        studies: Number of studies read.
        loss: Loss of the batch.
        seconds: Time taken, reading included.
    """

    studies: int
    loss: float
    seconds: float


def try_batch(config: RunConfig) -> TriedBatch:
    """Read a few studies of a run's data, train one batch and measure one; nothing is kept.

    Args:
        config: Config of the run.

    Raises:
        CSpineError: What would end the run: its data, bundles, device or settings do not fit.
    """
    began = time.perf_counter()
    config = config.model_copy(update={"precision": chosen_precision(config)})
    check_sizes(config, Processes())
    records = studies_of(config.data_root, config.annotations)
    if config.fold is not None:
        assign_folds(records, config.folds, config.seed)
        config = config.model_copy(update={"folds": _FOLDS, "fold": 0})
    few = some_studies(records, config)
    # A store of its own: the folds of a few studies must not be kept as those of the data set.
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "cache"), 1 << 40, 0)
        loss = _train_one(config, few, store, RunFolder(Path(folder, "run")))
    return TriedBatch(len(few), loss, time.perf_counter() - began)


def some_studies(records: Sequence[StudyRecord], config: RunConfig) -> list[StudyRecord]:
    """Studies of both classes, those first that have the truth that the task needs."""

    def lacks(record: StudyRecord) -> tuple[bool, bool]:
        mask, box = record.mask_file is None, not record.boxes
        return (box, mask) if config.facts.gives == "boxes" else (mask, box)

    labelled = [record for record in records if record.fractured is not None]
    chosen: list[StudyRecord] = []
    for fractured in (True, False):
        of_class = [record for record in labelled if any(record.fractured or ()) is fractured]
        chosen += sorted(of_class, key=lacks)[:STUDIES]
    return chosen


def _train_one(
    config: RunConfig, records: Sequence[StudyRecord], store: Store, run: RunFolder
) -> float:
    """Train a batch and measure one; return the loss."""
    processes = Processes()
    fabric = start_fabric(config, processes)
    run.start(config, resume=False)
    kind = TRAINING_TASKS[config.task]
    task = kind.load(config, records, store, run, device=str(fabric.device))
    state = initial_state(task, fabric, processes, 1)

    def one(batches: Batches[Any]) -> Batches[Any]:
        if not len(batches.order):
            raise TrainingError(
                f"{config.data_root} leaves no slice to train on; add studies or choose another "
                "fold."
            )
        first = replace(batches, order=np.resize(batches.order, config.batch_size))
        return shared_batches(first, config, fabric, processes)

    reports: list[StepReport] = []
    train_batches(
        task, fabric, state, one(task.training_batches(0)), lambda r: bool(reports.append(r))
    )
    if task.cohort.validation is not None:
        held_out = one(task.validation_batches(task.cohort.validation))
        task.measure(fabric, state.scored, held_out, lambda: None)
    return reports[-1].losses[-1]

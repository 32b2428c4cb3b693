"""The start of a run: one walk over its data, shared by all its processes."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from lightning_fabric import Fabric

from core.annotations.corrections import studies_of
from core.cache.keys import one_walk
from core.config import RunConfig
from core.errors import CSpineError, TrainingError
from core.system.atomic_files import write_json
from core.training.distributed import Processes
from core.training.runs import RunFolder
from core.training.task import TrainingTask
from core.types import Store, StudyRecord

POLL_SECONDS: Final = 0.1
_FILES: Final = ".walk-{}.json"

Task = TypeVar("Task", bound=TrainingTask[Any, Any])


def load_together(
    kind: type[Task],
    config: RunConfig,
    store: Store,
    run: RunFolder,
    fabric: Fabric,
    processes: Processes,
) -> Task:
    """Load a run's data; rank 0 looks at the files, and the others read in a file what it found.

    They wait for a file and not for a message: to prepare a large data set for the first time takes
    hours, longer than processes wait for messages.

    Args:
        kind: Class of the run's task.
        config: Config of the run.
        store: Store of prepared slices.
        run: Run folder, which all processes see.
        fabric: The processes, launched.
        processes: Place of this process among them.

    Raises:
        TrainingError: Rank 0 could not load the data, or as for `TrainingTask.load`.
        BundleError, DataRootError, StorageError: As for `TrainingTask.load`.
    """
    device = str(fabric.device)
    if processes.world == 1:
        with one_walk():
            records = studies_of(config.data_root, config.annotations)
            return kind.load(config, records, store, run, device=device)
    # A name of its own for each start: the file of an earlier one may be left.
    file = run.folder / _FILES.format(fabric.broadcast(secrets.token_hex(8)))
    if processes.is_first:
        for left in run.folder.glob(_FILES.format("*")):
            left.unlink(missing_ok=True)
        try:
            with one_walk() as digests:
                records = studies_of(config.data_root, config.annotations)
                task = kind.load(config, records, store, run, device=device)
        except BaseException as error:
            reason = str(error) if isinstance(error, CSpineError) else "the run was stopped"
            write_json(file, {"error": reason})
            raise
        write_json(file, {"digests": digests, "records": described(records)})
    else:
        content = _awaited(file)
        with one_walk(content["digests"]):
            records = records_of(content["records"])
            task = kind.load(config, records, store, run, device=device)
    fabric.barrier()
    if processes.is_first:
        file.unlink(missing_ok=True)
    return task


def _awaited(file: Path) -> dict[str, Any]:
    """Content of rank 0's file, once it is there.

    Raises:
        TrainingError: Rank 0 could not load the data.
    """
    while not file.is_file():
        time.sleep(POLL_SECONDS)
    content = json.loads(file.read_text())
    if "error" in content:
        raise TrainingError(f"The first process could not load the data: {content['error']}")
    return content


def described(records: Sequence[StudyRecord]) -> list[dict[str, Any]]:
    """Records as JSON values."""
    texts = ("folder", "mask_file")
    return [
        asdict(record)
        | {name: None if (path := getattr(record, name)) is None else str(path) for name in texts}
        for record in records
    ]


def records_of(content: Sequence[dict[str, Any]]) -> list[StudyRecord]:
    """The records that `described` has written."""
    return [
        StudyRecord(
            study_id=one["study_id"],
            folder=Path(one["folder"]),
            fractured=None if one["fractured"] is None else tuple(one["fractured"]),
            boxes=tuple((number, tuple(xyxy)) for number, xyxy in one["boxes"]),
            mask_file=None if one["mask_file"] is None else Path(one["mask_file"]),
            names=tuple(one["names"]),
        )
        for one in content
    ]

"""Series of unknown origin, decoded in a process that may be killed.

The child leaves the voxels in a store of their own, and this process maps them into its memory:
nothing but a file of plain numbers comes back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dicom.series import read_one_slice
from core.prepared.volumes import load_viewer_volume, stored_viewer_volume
from core.system.sandbox import ConfinedWorkers
from core.types import CTVolume, Progress, Store, StudyRecord


def read_confined(
    folder: Path, worker: ConfinedWorkers, *, store: Store, progress: Progress | None = None
) -> CTVolume:
    """Read the CT series in `folder` as `read_series` does, without decoding it in this process.

    Args:
        folder: Holds the series.
        worker: From `confined_reader`.
        store: For the voxels; whoever removes its folder removes them.
        progress: Called with slices read and slices in all; what it raises ends the reading.

    Returns:
        The volume, its voxels memory-mapped and read-only.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series.
        WorkerError: Reading it took too much memory or time, or broke the process.
        StorageError: The store cannot be written.
    """
    where = {"folder": str(store.folder), "limit": store.limit_bytes, "free": store.keep_free_bytes}
    worker.call({"what": "series", "folder": str(folder), "store": where}, progress)
    return stored_viewer_volume(StudyRecord(folder.name, folder), store=store)


def fill_store(request: Mapping[str, Any], progress: Progress) -> None:
    """Read the series in `folder` and put its voxels into `store`: what the worker does."""
    folder = Path(request["folder"])
    record = StudyRecord(folder.name, folder)
    where = request["store"]
    store = Store(Path(where["folder"]), where["limit"], where["free"])
    # Reported at once, so that the caller can cancel before the first slice.
    progress(0, 0)
    load_viewer_volume(record, store=store, progress=progress)


def read_slice_confined(folder: Path, index: int, worker: ConfinedWorkers) -> NDArray[np.int16]:
    """Read the pixels of one slice as `read_one_slice` does, without decoding them in this process.

    Args:
        folder: Holds the series.
        index: Slice index, 0 the most cranial.
        worker: From `confined_reader`.

    Returns:
        int16 HU (y, x).

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series with this slice.
        WorkerError: Reading it took too much memory or time, or broke the process.
    """
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "slice.npy"
        request = {"what": "slice", "folder": str(folder), "index": index, "out": str(out)}
        worker.call(request)
        return np.load(out, allow_pickle=False)


def write_slice(request: Mapping[str, Any], progress: Progress) -> None:
    """Read slice `index` of the series in `folder` and write it to `out`: what the worker does."""
    del progress
    volume, index = read_one_slice(Path(request["folder"]), lambda _: request["index"])
    np.save(request["out"], volume.hu[index], allow_pickle=False)

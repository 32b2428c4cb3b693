"""Files that a user names are decoded in separate, limited processes; each kind has its own.

An upload that takes long thus holds up other uploads at most, and no folder of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.config import Settings
from core.dicom.series_grid import series_grid
from core.prepared.sandboxed_masks import read_mask_confined
from core.prepared.sandboxed_reader import confined_reader
from core.prepared.sandboxed_series import read_confined, read_slice_confined
from core.prepared.volumes import find_viewer_volume
from core.system.atomic_files import hidden_folder
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers
from core.types import CTVolume, Progress, StudyRecord
from dashboard.session.settings import settings

Source = Literal["upload", "folder"]

_DERIVED: Final = "derived"
_PASSING: Final = "passing"


def derived_folder(session: str, settings: Settings) -> Path:
    """Folder for voxels and predictions of a session's upload; deleted with its next upload."""
    return settings.cspine_var.absolute() / "uploads" / session / _DERIVED


def read_upload(
    folder: Path, session: str, settings: Settings, progress: Progress | None = None
) -> CTVolume:
    """Read an uploaded series.

    Args:
        folder: Folder of the series.
        session: Session of the browser that uploaded it.
        settings: Folder for the voxels, and the limits of memory and time.
        progress: Called with slices read and slices in all; what it raises ends the reading.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series.
        WorkerError: Reading it took too much memory or time, or broke its process.
        StorageError: The voxels cannot be written.
    """
    store = replace(settings.store, folder=derived_folder(session, settings))
    workers = _workers_of("upload", settings)
    return read_confined(folder.absolute(), workers, store=store, progress=progress)


def read_folder(folder: Path) -> CTVolume:
    """Read a series of the server, from the store if it has been read before.

    Raises:
        DicomSeriesError, WorkerError, StorageError: As for `read_upload`.
    """
    current = settings()
    record = StudyRecord(folder.name, folder.absolute())
    found = find_viewer_volume(record, store=current.store)
    if found is not None:
        return found
    return read_confined(record.folder, _workers_of("folder", current), store=current.store)


@contextmanager
def passing_volume(folder: Path) -> Generator[CTVolume]:
    """A series of the server while the block runs; what was decoded for it is not kept.

    Thousands of studies that are only scored would push everything else out of the store.

    Raises:
        DicomSeriesError, WorkerError, StorageError: As for `read_upload`.
    """
    current = settings()
    record = StudyRecord(folder.name, folder.absolute())
    found = find_viewer_volume(record, store=current.store)
    if found is not None:
        yield found
        return
    with hidden_folder(current.store.folder / _PASSING, folder.name) as place:
        store = replace(current.store, folder=place)
        yield read_confined(record.folder, _workers_of("folder", current), store=store)


def read_slice(folder: Path, choose: Callable[[CTVolume], int]) -> tuple[CTVolume, int]:
    """Read the headers of a series of the server, and the pixels of one slice in another process.

    Args:
        folder: Holds the series.
        choose: Returns the index of the slice, from the series without pixels.

    Returns:
        The series, int16 HU (z, y, x) with 0 outside the slice, and the index of the slice.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series with this slice.
        WorkerError: Reading it took too much memory or time, or broke the process.
    """
    grid = series_grid(folder)
    index = choose(grid)
    workers = _workers_of("folder", settings())
    pixels = read_slice_confined(folder.absolute(), index, workers)
    # Untouched pages of zeros take no memory.
    hu = np.zeros(grid.hu.shape, np.int16)
    hu[index] = pixels
    hu.flags.writeable = False
    return replace(grid, hu=hu), index


def read_mask(path: Path, volume: CTVolume, *, on_bone: bool = True) -> NDArray[np.uint8]:
    """Read a vertebra mask as `load_vertebra_mask` does.

    Raises:
        DataRootError: The mask cannot be read, or takes too much memory or time.
    """
    return read_mask_confined(path, volume, _workers_of("folder", settings()), on_bone=on_bone)


def start_reader(source: Source, settings: Settings) -> None:
    """Start a decoding process ahead of its first call."""
    _workers_of(source, settings).start()


def limits_of(settings: Settings) -> Limits:
    """Limits of reading one thing that a user names."""
    return Limits(settings.upload_memory_mib << 20, settings.upload_seconds)


def _workers_of(source: Source, settings: Settings) -> ConfinedWorkers:
    return _workers(source, limits_of(settings), settings.upload_lanes)


@st.cache_resource(show_spinner=False, on_release=ConfinedWorkers.close, hash_funcs={Limits: repr})
def _workers(source: Source, limits: Limits, lanes: int) -> ConfinedWorkers:
    del source
    return confined_reader(limits, lanes)

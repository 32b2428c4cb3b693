"""A folder of DICOM files becomes one CT volume in Hounsfield units."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.gantry_tilt import shift_plane
from core.dicom.geometry import Placement, place_slices
from core.dicom.headers import SliceHeader, read_headers
from core.dicom.orientation import to_file_order
from core.dicom.pixels import (
    check_pixel_length,
    check_transfer_syntax,
    pixel_notes,
    read_slice,
)
from core.dicom.volume_choice import choose_volume
from core.dicom.volume_grid import VolumeGrid, placed_volume, volume_grid
from core.errors import DicomSeriesError
from core.system.file_tree import MAX_LISTED, files_below
from core.types import CTVolume, Progress

logger = logging.getLogger(__name__)


MAX_VOLUME_BYTES: Final = 4 << 30
MAX_WORKERS: Final = 16
MIN_FILES_FOR_THREADS: Final = 8
_FRAME_BYTES: Final = 1 << 18
"""About the size of a compressed slice."""


def read_series(
    folder: Path, *, jobs: int | None = None, progress: Progress | None = None
) -> CTVolume:
    """Read the CT series in `folder`.

    Slices are ordered by ImagePositionPatient along the slice normal, never by file name. Of
    several volumes the CT volume with most slices is taken, and `notes` names the others; see
    `core.dicom.volume_groups` for what one volume is. The slices of a tilted gantry are moved
    within their planes onto a rectangular grid; uneven distances stay. Whatever plane and
    direction the slices are stored in, the volume's slices are axial, with rows to the patient's
    left and columns to the back; `axes` says how the files lie in it.

    Args:
        folder: Holds the files, in itself or in sub-folders.
        jobs: Threads; as many as cores by default, 1 for none beside the caller's.
        progress: Called with (slices read, slices in all).

    Returns:
        int16 HU (z, y, x), slice 0 the most cranial, with its geometry and notes.

    Raises:
        DicomSeriesError: Nothing in the folder can be read as one CT series; names the file and
            the mend.
    """
    with _naming(folder):
        files = list_files(folder)
        with _pool(jobs, _pieces(files)) as pool:
            placement, notes = _placed(folder, files, pool)
            grid = volume_grid(placement)
            hu = _read_pixels(placement, grid, pool, progress)
    logger.info("Read %d slices of %d x %d pixels.", *hu.shape)
    return placed_volume(placement, grid, hu, [*notes, *_notes(placement)])


def read_one_slice(folder: Path, choose: Callable[[CTVolume], int]) -> tuple[CTVolume, int]:
    """Read the headers of a series as `read_series` does, but the pixels of one slice alone.

    A series that is stored in sagittal or coronal slices is decoded whole.

    Args:
        folder: As for `read_series`.
        choose: Returns the index of the slice, from the series without pixels.

    Returns:
        The series, int16 HU (z, y, x) with 0 outside the slice, and the index of the slice.

    Raises:
        DicomSeriesError: As `read_series`, or there is no slice of this index.
    """
    with _naming(folder):
        placement, notes = _placed(folder, list_files(folder), None)
        grid = volume_grid(placement)
        # Untouched pages of zeros take no memory.
        hu = np.zeros(grid.shape, np.int16)
        volume = placed_volume(placement, grid, hu, [*notes, *_notes(placement)])
        index = choose(volume)
        if not 0 <= index < volume.n_slices:
            raise DicomSeriesError(
                folder,
                f"it has {volume.n_slices} slices, but slice {index} was asked for",
                "predict the study again",
            )
        for k, plane in enumerate(to_file_order(hu, placement.axes)):
            if np.may_share_memory(plane, hu[index]):
                shift = None if placement.shift_px is None else placement.shift_px[k]
                _read_straight(placement.headers[k], plane, shift)
        hu.flags.writeable = False
    return volume, index


def place_series(folder: Path) -> tuple[Placement, list[str]]:
    """Choose and place the slices of a folder as `read_series` does, without decoding pixels.

    Returns:
        The slices in order, and the notes on what was chosen and left out.

    Raises:
        DicomSeriesError: `read_series` refuses the folder for what its headers say.
    """
    with _naming(folder):
        files = list_files(folder)
        with _pool(None, _pieces(files)) as pool:
            return _placed(folder, files, pool)


def _pieces(files: Sequence[Path]) -> int:
    """Number of files; where they are few, about the number of frames that their size allows."""
    if len(files) >= MIN_FILES_FOR_THREADS:
        return len(files)
    return max(len(files), sum(map(_size, files)) // _FRAME_BYTES)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Have errors name the folder of the study: all studies have a 1.dcm."""
    try:
        yield
    except DicomSeriesError as error:
        raise error.within(folder) from error


def _placed(
    folder: Path, files: Sequence[Path], pool: ThreadPoolExecutor | None
) -> tuple[Placement, list[str]]:
    found = list((pool.map if pool else map)(read_headers, files))
    headers = list(itertools.chain.from_iterable(found))
    choice = choose_volume(folder, headers, sum(not frames for frames in found))
    if choice.problem is not None:
        raise choice.problem
    check_series(folder, choice.headers)
    for header in choice.headers:
        check_pixel_length(header)
    return place_slices(choice.headers), list(choice.notes)


@contextlib.contextmanager
def _pool(jobs: int | None, pieces: int) -> Iterator[ThreadPoolExecutor | None]:
    """Yield worker threads, or None where one thread is enough.

    Threads, not processes: reading, decoding and the mapping to HU leave the interpreter free, all
    write into one array, and a pool of processes takes longer to start than a series to read.
    """
    workers = min(_cores() if jobs is None else jobs, MAX_WORKERS)
    if workers <= 1 or pieces < MIN_FILES_FOR_THREADS:
        yield None
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read-series")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _notes(placement: Placement) -> list[str]:
    headers = placement.headers
    notes = [*placement.notes, *pixel_notes(headers), *_note_on_rescaling(headers)]
    if any(header.format is not None and header.format.inverted for header in headers):
        notes.append("The pixels are stored inverted (MONOCHROME1) and were turned back.")
    return notes


def _note_on_rescaling(headers: Sequence[SliceHeader]) -> list[str]:
    if headers[0].rescaled:
        return []
    formats = [header.format for header in headers if header.format is not None]
    if all(found.slope == 1 and found.intercept == 0 for found in formats):
        return ["RescaleSlope or RescaleIntercept is missing; stored values are taken as HU."]
    return ["RescaleSlope or RescaleIntercept is missing and was taken as 1 or 0."]


def list_files(folder: Path) -> list[Path]:
    """List the files of a folder and its sub-folders.

    Raises:
        DicomSeriesError: The folder cannot be opened, or holds no files or too many.
    """
    try:
        files = files_below(folder)
    except FileNotFoundError as error:
        raise DicomSeriesError(folder, "there is no such folder", "check the path") from error
    except NotADirectoryError as error:
        raise DicomSeriesError(
            folder, "it is a file", "give the folder that holds the series"
        ) from error
    except OSError as error:
        raise DicomSeriesError(
            folder, f"cannot be opened ({error.strerror})", "check its permissions"
        ) from error
    if not files:
        raise DicomSeriesError(
            folder, "the folder holds no files", "give a folder that holds DICOM files"
        )
    if len(files) > MAX_LISTED:
        raise DicomSeriesError(
            folder, f"it holds more than {MAX_LISTED:,} files", "give the folder of one study"
        )
    return files


def check_series(folder: Path, series: Sequence[SliceHeader]) -> None:
    """Refuse what cannot be read before anything is allocated for it.

    Raises:
        DicomSeriesError: A slice is flawed, has no pixels or a transfer syntax that is not read,
            lacks the rescaling of the others, or all together are too large.
    """
    for header in series:
        if header.flaw:
            raise DicomSeriesError(header.path, header.flaw, header.remedy)
        if header.pixel_offset is None:
            raise DicomSeriesError(
                header.path, "it has no pixel data", "copy the file again from its source"
            )
        check_transfer_syntax(header)
    _check_rescaled(series)
    size = sum(2 * header.rows * header.columns for header in series)
    if size > MAX_VOLUME_BYTES:
        raise DicomSeriesError(
            folder,
            f"its {len(series)} slices need {size / 2**30:.1f} GiB of memory, more than "
            f"{MAX_VOLUME_BYTES >> 30} GiB",
            "split the series into folders",
        )


def _check_rescaled(series: Sequence[SliceHeader]) -> None:
    """Refuse a series of which only some slices state how stored values become HU."""
    lacking = [header for header in series if not header.rescaled]
    stating = [header for header in series if header.rescaled]
    if not lacking or not stating:
        return
    pair = "RescaleSlope and RescaleIntercept"
    if len(lacking) <= len(stating):
        odd, rest = lacking[0], len(stating)
        problem = f"it lacks the {pair} that {rest} slices of its series have"
    else:
        odd, rest = stating[0], len(lacking)
        problem = f"it has a {pair} that {rest} slices of its series lack"
    raise DicomSeriesError(odd.path, problem, "export the series again")


def _read_pixels(
    placement: Placement,
    grid: VolumeGrid,
    pool: ThreadPoolExecutor | None,
    progress: Progress | None,
) -> NDArray[np.int16]:
    """Read every file into one array on `grid`, read-only: int16 HU, (z, y, x)."""
    headers = placement.headers
    hu = np.empty(grid.shape, np.int16)
    planes = to_file_order(hu, placement.axes)
    shifts = itertools.repeat(None) if placement.shift_px is None else placement.shift_px
    # Progress is told from the caller's own thread, which is the only one a page may draw from.
    slices = (pool.map if pool else map)(_read_straight, headers, planes, shifts)
    for done, _ in enumerate(slices, start=1):
        if progress is not None:
            progress(done, len(headers))
    hu.flags.writeable = False
    return hu


def _read_straight(
    header: SliceHeader, out: NDArray[np.int16], shift_px: NDArray[np.float64] | None
) -> None:
    # Decoding fills whole lines; those of a turned series do not follow each other in memory.
    plane = out if out.flags.c_contiguous else np.empty(out.shape, np.int16)
    read_slice(header, plane)
    if shift_px is not None:
        plane = shift_plane(plane, shift_px)
    if plane is not out:
        out[:] = plane

"""A folder of DICOM files becomes one CT volume in Hounsfield units."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
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
from core.dicom.volume_grid import VolumeGrid, placed_volume, volume_grid
from core.errors import DicomSeriesError
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
    several series the CT series with most slices is taken, and `notes` says so. The slices of a
    tilted gantry are moved within their planes onto a rectangular grid; uneven distances stay.
    Whatever plane and direction the slices are stored in, the volume's slices are axial, with rows
    to the patient's left and columns to the back; `axes` says how the files lie in it.

    Args:
        folder: Holds the files themselves; sub-folders are not searched.
        jobs: Threads; as many as cores by default, 1 for none beside the caller's.
        progress: Called with (slices read, slices in all).

    Returns:
        int16 HU (z, y, x), slice 0 the most cranial, with its geometry and notes.

    Raises:
        DicomSeriesError: Nothing in the folder can be read as one CT series; names the file and
            the mend.
    """
    files = series_files(folder)
    with _pool(jobs, _pieces(files)) as pool:
        headers, foreign = headers_of_files(files, pool)
        notes = [_counted(foreign, "file is not DICOM and was", "files are not DICOM and were")]
        series = choose_series(folder, headers, notes)
        check_series(folder, series)
        for header in series:
            check_pixel_length(header)
        placement = place_slices(series)
        grid = volume_grid(placement)
        hu = _read_pixels(placement, grid, pool, progress)
    logger.info("Read %d slices of %d x %d pixels.", *hu.shape)
    return placed_volume(placement, grid, hu, [*notes, *_notes(placement)])


def _pieces(files: Sequence[Path]) -> int:
    """Number of files; where they are few, about the number of frames that their size allows."""
    if len(files) >= MIN_FILES_FOR_THREADS:
        return len(files)
    return max(len(files), sum(file.stat().st_size for file in files) // _FRAME_BYTES)


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
    notes = [*placement.notes, *pixel_notes(headers)]
    if not all(header.rescaled for header in headers):
        notes.append("RescaleSlope or RescaleIntercept is missing; stored values are taken as HU.")
    if any(header.format is not None and header.format.inverted for header in headers):
        notes.append("The pixels are stored inverted (MONOCHROME1) and were turned back.")
    return notes


def series_files(folder: Path) -> list[Path]:
    """List the visible files of a folder, by name.

    Raises:
        DicomSeriesError: The folder cannot be opened or holds no files.
    """
    try:
        entries = sorted(folder.iterdir())
        files = [entry for entry in entries if not entry.name.startswith(".") and entry.is_file()]
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
        inner = sum(entry.is_dir() for entry in entries)
        mend = "give one of its sub-folders" if inner else "give a folder that holds DICOM files"
        raise DicomSeriesError(folder, "the folder holds no files", mend)
    return files


def headers_of_files(
    files: Sequence[Path], pool: ThreadPoolExecutor | None
) -> tuple[list[SliceHeader], int]:
    """Return the headers of all slices in the DICOM files, and the number of other files."""
    found = list((pool.map if pool else map)(read_headers, files))
    return list(itertools.chain.from_iterable(found)), sum(not headers for headers in found)


def choose_series(
    folder: Path, headers: Sequence[SliceHeader], notes: list[str]
) -> list[SliceHeader]:
    """Return the headers of the CT series with most slices, localizers set apart.

    Args:
        folder: Named in errors.
        headers: Of all DICOM files of the folder.
        notes: Sentences about what is left out are added.

    Raises:
        DicomSeriesError: There is no CT slice.
    """
    if not headers:
        raise DicomSeriesError(
            folder, "none of its files is DICOM", "give the folder that holds the .dcm files"
        )
    ct = [header for header in headers if header.modality == "CT"]
    slices = [header for header in ct if not header.localizer]
    notes.append(
        _counted(len(headers) - len(ct), "file is not CT and was", "files are not CT and were")
    )
    notes.append(_counted(len(ct) - len(slices), "localizer was", "localizers were", "set apart"))
    if not slices:
        raise DicomSeriesError(
            folder,
            f"it holds no CT slices, only {_kinds(headers)}",
            "give the folder of the CT series",
        )
    series: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in slices:
        series[header.series_uid].append(header)
    ranked = sorted(series.items(), key=lambda item: (-len(item[1]), item[0]))
    if len(ranked) > 1:
        sizes = ", ".join(str(len(members)) for _, members in ranked[:6])
        notes.append(
            f"The folder holds {len(ranked)} CT series ({sizes}{', …' * (len(ranked) > 6)} "
            "slices); the one with most slices is read."
        )
    return ranked[0][1]


def _kinds(headers: Sequence[SliceHeader]) -> str:
    counts: Counter[str] = Counter()
    for header in headers:
        code = header.modality if re.fullmatch(r"[A-Z]{2,16}", header.modality) else "unnamed"
        counts["CT localizers" if header.localizer and code == "CT" else code] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _counted(count: int, one: str, many: str, done: str = "left out") -> str:
    return f"{count} {one if count == 1 else many} {done}." if count else ""


def check_series(folder: Path, series: Sequence[SliceHeader]) -> None:
    """Refuse what cannot be read before anything is allocated for it.

    Raises:
        DicomSeriesError: A slice is flawed, has no pixels or a transfer syntax that is not read,
            or all together are too large.
    """
    for header in series:
        if header.flaw:
            raise DicomSeriesError(
                header.path, header.flaw, "remove the file or export the series again"
            )
        if header.pixel_offset is None:
            raise DicomSeriesError(
                header.path, "it has no pixel data", "copy the file again from its source"
            )
        check_transfer_syntax(header)
    size = sum(2 * header.rows * header.columns for header in series)
    if size > MAX_VOLUME_BYTES:
        raise DicomSeriesError(
            folder,
            f"its {len(series)} slices need {size / 2**30:.1f} GiB of memory, more than "
            f"{MAX_VOLUME_BYTES >> 30} GiB",
            "split the series into folders",
        )


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

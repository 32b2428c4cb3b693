"""The files of one study for the index: each is read once, classified and placed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.dicom.geometry import Placement, place_slices
from core.dicom.headers import SliceHeader, headers_of, read_headers, unopened_header
from core.dicom.pixels import check_pixels
from core.dicom.scan_facts import ScanFacts
from core.dicom.series import check_series, list_files
from core.dicom.volume_choice import choose_volume
from core.errors import DicomSeriesError
from core.system.file_tree import path_below

_WHOLE_FILE_BYTES: Final = 64 << 20
"""Larger files are hashed in pieces: no CT slice is so large."""


SliceKey = tuple[Path, int]
"""A file and its frame, 0 where it holds one image."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One slice as it was read: a file, or a frame of a file that holds several.

    Attributes:
        path: The file.
        bytes: Size; 0 if it cannot be read.
        mtime_ns: Time of change; 0 if it cannot be read.
        sha256: Digest of the content, 64 hex digits; "" if it cannot be read.
        header: The header, of a damaged file what could be read; None if it is not DICOM.
        error: Why it cannot be used and what to do, without the name of the file; "" if it can.
    """

    path: Path
    bytes: int
    mtime_ns: int
    sha256: str
    header: SliceHeader | None
    error: str = ""

    @property
    def foreign(self) -> bool:
        """Whether it is not DICOM at all."""
        return self.header is None

    @property
    def key(self) -> SliceKey:
        """File and frame."""
        return (self.path, 0) if self.header is None else self.header.key


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Role and position of a slice in its study.

    Attributes:
        role: "slice", "duplicate", "localizer", "other series", "not CT", "not DICOM" or
            "unreadable".
        slice_index: Place among the files of the volume, which are its slices, 0 the most cranial,
            unless the series is stored in sagittal or coronal planes; -1 if it is not part of it.
        z_mm: Position along the slice normal; NaN if the file is not part of the series.
    """

    role: str
    slice_index: int = -1
    z_mm: float = float("nan")


def listing_of(folder: Path) -> list[tuple[str, int, int]]:
    """Return (path below the folder, bytes, mtime_ns) of the files that `read_series` reads.

    Raises:
        DicomSeriesError: The folder cannot be listed or holds no files.
    """
    listing: list[tuple[str, int, int]] = []
    for path in list_files(folder):
        try:
            status = path.stat()
            size, changed = status.st_size, status.st_mtime_ns
        except OSError:
            size, changed = 0, 0
        listing.append((path_below(path, folder), size, changed))
    return listing


def read_file(path: Path) -> tuple[FileFacts, ...]:
    """Read one file once, for its hash and its headers; never raise for a bad file.

    Returns:
        One per slice; a single one for a file without slices.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            size, changed = status.st_size, status.st_mtime_ns
            if size > _WHOLE_FILE_BYTES:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                headers = read_headers(path)
            else:
                content = stream.readall()
                sha256 = hashlib.sha256(content).hexdigest()
                headers = headers_of(path, content)
    except OSError as problem:
        header = unopened_header(path, problem)
        # A wrong size makes the next run try the file again.
        return (FileFacts(path, 0, 0, "", header, f"{header.flaw}; {header.remedy}."),)
    return tuple(
        FileFacts(path, size, changed, sha256, header, _fault(path, header))
        for header in headers or (None,)
    )


def place_files(
    folder: Path, files: Sequence[FileFacts]
) -> tuple[dict[SliceKey, FilePlace], Placement | None, str]:
    """Find the slices among the files of a study and order them, as `read_series` would.

    Args:
        folder: Folder named in errors.
        files: The slices and other files of one study.

    Returns:
        The place of each; the placement of the volume, None if there is none; and why
        `read_series` would refuse the folder, "" if it would not. A folder refused for one damaged
        file still has a placement of the others.
    """
    places = {file.key: FilePlace(_role(file)) for file in files}
    headers = [file.header for file in files if file.header is not None]
    series: Sequence[SliceHeader] = ()
    problems: list[DicomSeriesError] = []
    placement = None
    try:
        choice = choose_volume(folder, headers, sum(file.foreign for file in files))
        series = choice.headers
        problems += [choice.problem] if choice.problem else []
        check_series(folder, series)
    except DicomSeriesError as problem:
        problems.append(problem)
    chosen = {header.key for header in series}
    errors = [str(problem.within(folder)) for problem in problems]
    errors += [
        f"{folder.name}/{path_below(file.path, folder)}: {file.error}"
        for file in files if file.error and file.key in chosen
    ]  # fmt: skip
    for key, place in places.items():
        if place.role == "slice" and key not in chosen:
            places[key] = FilePlace("other series")
    try:
        # A slice with damaged pixels still has a position.
        placement = place_slices(series) if series else None
    except DicomSeriesError as problem:
        errors.append(str(problem.within(folder)))
    if placement is not None:
        places |= _placed(series, placement, places)
    return places, placement, errors[0] if errors else ""


def to_row(folder: Path, file: FileFacts) -> dict[str, Any]:
    """Return the facts needed to place a file again without reading it."""
    kept = None
    if file.header is not None:
        kept = {name: getattr(file.header, name) for name in HEADER_FIELDS}
    return {
        "file": path_below(file.path, folder), "bytes": file.bytes, "mtime_ns": file.mtime_ns,
        "sha256": file.sha256, "error": file.error, "header": kept,
    }  # fmt: skip


def from_row(folder: Path, row: dict[str, Any]) -> FileFacts:
    """Inverse of `to_row`; the header's `format` is not stored and becomes None."""
    path, header = folder / row["file"], None
    if row["header"] is not None:
        kept: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in row["header"].items()
        }
        kept["scan"] = ScanFacts(*kept["scan"])
        header = SliceHeader(path=path, format=None, **kept)
    return FileFacts(path, row["bytes"], row["mtime_ns"], row["sha256"], header, row["error"])


HEADER_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(SliceHeader) if field.name not in ("path", "format")
)
"""The fields of a `SliceHeader` that are kept."""


def _named_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm"


def _role(file: FileFacts) -> str:
    header = file.header
    if header is None:
        return "not DICOM"
    if header.modality not in ("CT", ""):
        return "not CT"
    if header.localizer:
        return "localizer"
    return "unreadable" if file.error or not header.modality else "slice"


def _placed(
    series: Sequence[SliceHeader], placement: Placement, places: dict[SliceKey, FilePlace]
) -> dict[SliceKey, FilePlace]:
    index = {header.key: i for i, header in enumerate(placement.headers)}
    found: dict[SliceKey, FilePlace] = {}
    for header in series:
        i = index.get(header.key, -1)
        role = places[header.key].role
        if i >= 0:
            found[header.key] = FilePlace(role, i, float(placement.z_mm[i]))
        elif header.position is not None:
            z_mm = float(np.asarray(header.position) @ placement.normal)
            found[header.key] = FilePlace("duplicate" if role == "slice" else role, -1, z_mm)
    return found


def _fault(path: Path, header: SliceHeader | None) -> str:
    """Return why `read_series` would not read a file as a slice, "" where it would or need not."""
    if header is None:
        named = "it is named .dcm but is not DICOM; copy the file again from its source."
        return named if _named_dicom(path) else ""
    if header.modality not in ("CT", "") or header.localizer:
        return ""
    try:
        check_pixels(header)
    except DicomSeriesError as error:
        return f"{error.problem}; {error.remedy}."
    return ""

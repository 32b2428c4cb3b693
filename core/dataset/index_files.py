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
from pydicom.uid import DeflatedExplicitVRLittleEndian

from core.dicom.codestream import COMPRESSED, CodestreamError, joined_fragments
from core.dicom.geometry import Placement, place_slices
from core.dicom.headers import SliceHeader, headers_of, read_headers
from core.dicom.series import check_series, choose_series
from core.errors import DicomSeriesError

_WHOLE_FILE_BYTES: Final = 64 << 20
"""Larger files are hashed in pieces: no CT slice is so large."""
_COPY_AGAIN: Final = "copy the file again from its source"


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
        header: The header; None if the file is not DICOM or damaged.
        error: Why it cannot be used, one sentence; "" if it can.
        foreign: Whether it is not DICOM at all.
    """

    path: Path
    bytes: int
    mtime_ns: int
    sha256: str
    header: SliceHeader | None
    error: str = ""
    foreign: bool = False

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


def list_files(folder: Path) -> list[tuple[str, int, int]]:
    """Return (name, bytes, mtime_ns) of the files that `read_series` would read, by name.

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        files = [e for e in entries if not e.name.startswith(".") and e.is_file()]
        return sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in files)


def read_file(path: Path) -> tuple[FileFacts, ...]:
    """Read one file once, for its hash and its headers; never raise for a bad file.

    Returns:
        One per slice; a single one for a file without slices.
    """
    size, changed, sha256 = 0, 0, ""
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            size, changed = status.st_size, status.st_mtime_ns
            if size > _WHOLE_FILE_BYTES:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                headers, content = read_headers(path), None
            else:
                content = stream.readall()
                sha256 = hashlib.sha256(content).hexdigest()
                headers = headers_of(path, content)
    except DicomSeriesError as problem:
        return (FileFacts(path, size, changed, sha256, None, str(problem)),)
    except OSError as problem:
        error = f"{path.name}: cannot be read ({problem.strerror}); check its permissions."
        # A wrong size makes the next run try the file again.
        return (FileFacts(path, 0, 0, "", None, error),)
    if not headers:
        named = _named_dicom(path) and content is not None
        error = f"{path.name}: it is named .dcm but is not DICOM; {_COPY_AGAIN}." if named else ""
        return (FileFacts(path, size, changed, sha256, None, error, foreign=True),)
    return tuple(
        FileFacts(
            path, size, changed, sha256, header,
            _flaw(header, size, content),
        )
        for header in headers
    )  # fmt: skip


def place_files(
    folder: Path, files: Sequence[FileFacts]
) -> tuple[dict[SliceKey, FilePlace], Placement | None, str]:
    """Find the slices among the files of a study and order them, as `read_series` would.

    Args:
        folder: Folder named in errors.
        files: The slices and other files of one study.

    Returns:
        The place of each; the placement of the series, None if there is none; and why
        `read_series` would refuse the folder, "" if it would not. A folder refused for one damaged
        file still has a placement of the others.
    """
    places = {file.key: FilePlace(_role(file)) for file in files}
    headers = [file.header for file in files if file.header is not None]
    errors = [file.error for file in files if file.header is None and not file.foreign]
    series: list[SliceHeader] = []
    placement = None
    try:
        series = choose_series(folder, headers, [])
        check_series(folder, series)
    except DicomSeriesError as problem:
        errors.append(str(problem))
    chosen = {header.key for header in series}
    errors += [file.error for file in files if file.error and file.key in chosen]
    for key, place in places.items():
        if place.role == "slice" and key not in chosen:
            places[key] = FilePlace("other series")
    try:
        # A slice with damaged pixels still has a position.
        placement = place_slices(series) if series else None
    except DicomSeriesError as problem:
        errors.append(str(problem))
    if placement is not None:
        places |= _placed(series, placement, places)
    return places, placement, errors[0] if errors else ""


def to_row(file: FileFacts) -> dict[str, Any]:
    """Return the facts needed to place a file again without reading it."""
    kept = None
    if file.header is not None:
        kept = {name: getattr(file.header, name) for name in HEADER_FIELDS}
    return {
        "file": file.path.name, "bytes": file.bytes, "mtime_ns": file.mtime_ns,
        "sha256": file.sha256, "error": file.error, "foreign": file.foreign, "header": kept,
    }  # fmt: skip


def from_row(folder: Path, row: dict[str, Any]) -> FileFacts:
    """Inverse of `to_row`; the header's `format` is not stored and becomes None."""
    path, header = folder / row["file"], None
    if row["header"] is not None:
        kept: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in row["header"].items()
        }
        header = SliceHeader(path=path, format=None, **kept)
    return FileFacts(
        path, row["bytes"], row["mtime_ns"], row["sha256"], header, row["error"], row["foreign"]
    )


HEADER_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(SliceHeader) if field.name not in ("path", "format")
)
"""The fields of a `SliceHeader` that are kept."""


def _named_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm"


def _role(file: FileFacts) -> str:
    header = file.header
    if header is None:
        return "not DICOM" if file.foreign else "unreadable"
    if header.modality != "CT":
        return "unreadable" if file.error else "not CT"
    if header.localizer:
        return "localizer"
    return "unreadable" if file.error else "slice"


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


def _flaw(header: SliceHeader, size: int, content: bytes | None) -> str:
    """Return why the pixels of a CT slice cannot be read, without decoding them; "" if they can."""
    problem = header.flaw
    if not header.modality and _named_dicom(header.path):
        # A DICOMDIR has no modality either, but no suffix.
        problem = "its header states no modality, as one that was cut off"
    elif header.modality != "CT" or header.localizer:
        return ""
    if not problem and header.pixel_offset is None:
        problem = "it has no pixel data"
    if not problem:
        problem = _cut_off(header, size, content)
    return f"{header.path.name}: {problem}; {_COPY_AGAIN}." if problem else ""


def _cut_off(header: SliceHeader, size: int, content: bytes | None) -> str:
    if header.transfer_syntax == DeflatedExplicitVRLittleEndian:
        return ""
    start, length = header.pixel_offset or 0, header.pixel_length
    if length is not None:
        return "its pixel data is truncated" if start + length > size else ""
    # A stream of several frames was walked to find them.
    if content is not None and header.pixel_end is None and header.transfer_syntax in COMPRESSED:
        try:
            joined_fragments(content[start:])
        except CodestreamError as problem:
            return str(problem)
    return ""

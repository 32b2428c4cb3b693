"""One study's part of the index, stored in a separate file until something in its folder changes.

A shard has one row per slice (or other file) with the header's facts, so that after one file
changed the study can be placed again without reading the others, and the facts of the study.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset import quality
from core.dataset.index_files import (
    FileFacts,
    FilePlace,
    SliceKey,
    from_row,
    listing_of,
    place_files,
    read_file,
    to_row,
)
from core.dataset.index_kernel import commonest, kernel_in
from core.dataset.tables import SLICE_ROLES
from core.dicom.geometry import Placement
from core.dicom.headers import SliceHeader
from core.dicom.volume_grid import VolumeGrid, volume_grid
from core.errors import DicomSeriesError
from core.system.atomic_files import atomic_path

logger = logging.getLogger(__name__)

SHARD_VERSION: Final = "3"
"""Increase it when rows or facts change their meaning: other versions are built again."""

_HEADER: Final = pa.struct(
    [
        *((name, pa.string()) for name in ("transfer_syntax", "sop_uid", "study_uid")),
        *((name, pa.string()) for name in ("series_uid", "modality", "flaw")),
        ("remedy", pa.string()),
        ("scan", pa.list_(pa.string())),
        *((name, pa.bool_()) for name in ("localizer", "rescaled", "lossy")),
        *((name, pa.int64()) for name in ("instance_number", "frame", "rows", "columns")),
        *((name, pa.int64()) for name in ("pixel_offset", "pixel_length", "pixel_end")),
        *((name, pa.list_(pa.float64())) for name in ("position", "orientation", "spacing")),
        *((name, pa.float64()) for name in ("slice_location", "thickness", "gantry_tilt")),
    ]
)
INDEX_SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("study_id", "file", "series_uid")),
        *((name, pa.int32()) for name in ("instance_number", "frame", "slice_index")),
        ("role", pa.string()),
        *((name, pa.float64()) for name in ("z_mm", "row_mm", "column_mm", "thickness_mm")),
        *((name, pa.int32()) for name in ("rows", "cols")),
        ("transfer_syntax", pa.string()),
        *((name, pa.int64()) for name in ("bytes", "mtime_ns")),
        ("sha256", pa.string()),
    ]
)
"""Columns of `index.parquet`."""

_SHARD_SCHEMA: Final = pa.schema([*INDEX_SCHEMA, ("error", pa.string()), ("header", _HEADER)])
_FACTS: Final = b"facts"
_VERSION: Final = b"version"


@dataclass(frozen=True, slots=True)
class StudyTask:
    """Input of a worker that indexes one study.

    Attributes:
        study_id: StudyInstanceUID.
        folder: Folder of its files.
        shard: File for its part of the index.
        fresh: Whether to read files that look unchanged, too.
    """

    study_id: str
    folder: Path
    shard: Path
    fresh: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """One study's part of the index.

    Attributes:
        table: Columns of `INDEX_SCHEMA`, one row per slice or other file; the volume's slices
            first, in order.
        facts: Columns of `studies.parquet` by name, as far as they follow from the files alone.
    """

    table: pa.Table
    facts: dict[str, Any]


def shard_path(folder: Path, study_id: str) -> Path:
    """Return the file for a study's shard below the index's `folder`."""
    return folder / "shards" / f"{hashlib.sha256(study_id.encode()).hexdigest()[:32]}.parquet"


def index_study(task: StudyTask) -> int:
    """Bring one study's shard up to date, reading only files that are new or changed.

    Returns:
        Number of files read; 0 if nothing changed.

    Raises:
        StorageError: The shard cannot be written.
    """
    problem = ""
    try:
        listing = listing_of(task.folder)
    except DicomSeriesError as error:
        listing, problem = [], str(error)
    old = None if task.fresh else _open(task.shard)
    if old is not None and not problem and _listing(old) == listing:
        return 0
    known = _unchanged(task.folder, old, listing) if old is not None else {}
    found = [known.get(name) or read_file(task.folder / name) for name, _, _ in listing]
    files = [facts for slices in found for facts in slices]
    places, placement, error = place_files(task.folder, files) if files else ({}, None, problem)
    rows = [_row(task, file, places[file.key]) for file in files]
    rows.sort(key=_row_order)
    _write(task.shard, rows, _facts(files, places, placement, error))
    return len(listing) - len(known)


def read_shard(path: Path) -> Shard | None:
    """Return a shard; None if it is missing, damaged or of another version."""
    file = _open(path)
    if file is None:
        return None
    table = file.read(INDEX_SCHEMA.names).replace_schema_metadata(None)
    facts = json.loads(file.schema_arrow.metadata[_FACTS])
    if "kernel" not in facts:
        facts["kernel"] = kernel_in(file)
    return Shard(table, facts)


def _open(path: Path) -> pq.ParquetFile | None:
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
        metadata = file.schema_arrow.metadata or {}
    except (OSError, pa.ArrowException):
        return None
    return file if metadata.get(_VERSION) == SHARD_VERSION.encode() else None


def _listing(shard: pq.ParquetFile) -> list[tuple[str, int, int]]:
    columns = ("file", "bytes", "mtime_ns")
    table = shard.read(list(columns))
    return sorted(set(zip(*(table[name].to_pylist() for name in columns), strict=True)))


def _unchanged(
    folder: Path, shard: pq.ParquetFile, listing: Sequence[tuple[str, int, int]]
) -> dict[str, tuple[FileFacts, ...]]:
    now = set(listing)
    columns = ["file", "bytes", "mtime_ns", "sha256", "error", "header"]
    rows = shard.read(columns).to_pylist()
    known: defaultdict[str, list[FileFacts]] = defaultdict(list)
    for row in rows:
        if (row["file"], row["bytes"], row["mtime_ns"]) in now:
            known[row["file"]].append(from_row(folder, row))
    return {
        name: tuple(sorted(slices, key=lambda facts: facts.key)) for name, slices in known.items()
    }


def _row(task: StudyTask, file: FileFacts, place: FilePlace) -> dict[str, Any]:
    header = file.header
    spacing = (header.spacing if header else None) or (None, None)
    return to_row(task.folder, file) | {
        "study_id": task.study_id,
        "series_uid": header.series_uid if header else "",
        "instance_number": _int32(header.instance_number) if header else 0,
        "frame": header.frame if header else 0,
        "slice_index": place.slice_index,
        "role": place.role,
        "z_mm": place.z_mm,
        "row_mm": spacing[0],
        "column_mm": spacing[1],
        "thickness_mm": header.thickness if header else None,
        "rows": header.rows if header else 0,
        "cols": header.columns if header else 0,
        "transfer_syntax": header.transfer_syntax if header else "",
    }


def _row_order(row: dict[str, Any]) -> tuple[bool, int, str, int]:
    return row["slice_index"] < 0, row["slice_index"], row["file"], row["frame"]


def _int32(number: int) -> int:
    """Return InstanceNumber, or 0 if the standard does not allow it."""
    return number if abs(number) < 1 << 31 else 0


def _write(path: Path, rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    metadata = {_VERSION: SHARD_VERSION.encode(), _FACTS: json.dumps(facts).encode()}
    table = pa.Table.from_pylist(rows, schema=_SHARD_SCHEMA.with_metadata(metadata))
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _facts(
    files: Sequence[FileFacts],
    places: dict[SliceKey, FilePlace],
    placement: Placement | None,
    error: str,
) -> dict[str, Any]:
    roles = Counter(place.role for place in places.values())
    series = [
        file.header
        for file in files
        if file.header is not None and places[file.key].role in SLICE_ROLES
    ]
    return {
        "n_files": len({file.path for file in files}),
        "error": error or None,
        "kernel": commonest(header.scan.kernel for header in series),
        **_geometry(placement),
        "flag_duplicate_positions": roles["duplicate"] > 0,
        "flag_mixed_series": any(roles[r] for r in ("localizer", "other series", "not CT"))
        or (placement is None and _differ(series)),
        "flag_compressed": any(quality.is_compressed(h.transfer_syntax) for h in series),
        "flag_unreadable_file": any(file.error for file in files),
        "flag_missing_files": not files or _has_hole(files, series),
    }


def _geometry(placement: Placement | None) -> dict[str, Any]:
    if placement is None:
        sizes = dict.fromkeys(("n_slices", "rows", "cols"), 0)
        distances = ("row_mm", "z_spacing_mm", "z_min_step_mm", "z_max_step_mm")
        flags = ("reversed_numbering", "gap", "uneven_spacing", "short_coverage", "gantry_tilt")
        return {
            **sizes,
            **dict.fromkeys((*distances, "thickness_mm", "coverage_mm")),
            **dict.fromkeys((f"flag_{name}" for name in flags), False),
        }
    headers, grid = placement.headers, volume_grid(placement)
    z_mm, (n_slices, rows, cols) = grid.z_mm, grid.shape
    steps = -np.diff(z_mm)
    gap, uneven = quality.gap_and_uneven(z_mm)
    coverage = float(z_mm[0] - z_mm[-1]) + grid.spacing_mm[0]
    return {
        "n_slices": n_slices,
        "rows": rows,
        "cols": cols,
        "row_mm": grid.spacing_mm[1],
        "z_spacing_mm": grid.spacing_mm[0],
        "z_min_step_mm": float(steps.min()) if len(steps) else None,
        "z_max_step_mm": float(steps.max()) if len(steps) else None,
        "thickness_mm": _thickness(placement, grid),
        "coverage_mm": coverage,
        "flag_reversed_numbering": placement.axes.keeps_slices
        and quality.is_reversed(_numbers(headers)),
        "flag_gap": gap,
        "flag_uneven_spacing": uneven,
        "flag_short_coverage": quality.is_short(coverage),
        "flag_gantry_tilt": placement.tilt_degrees > quality.MIN_TILT_DEGREES,
    }


def _thickness(placement: Placement, grid: VolumeGrid) -> float | None:
    if not placement.axes.keeps_slices:
        return grid.thickness_mm
    known = [h.thickness for h in placement.headers if h.thickness is not None]
    return float(np.median(known)) if known else None


def _numbers(headers: Sequence[SliceHeader]) -> list[int]:
    """Return the file numbers if all slices have one, else the instance numbers."""
    numbers = [None if header.frame else _file_number(header.path) for header in headers]
    found = [number for number in numbers if number is not None]
    return found if len(found) == len(headers) else [h.instance_number for h in headers]


def _file_number(path: Path) -> int | None:
    """Return k of `<k>.dcm`."""
    stem = path.name.removesuffix(".dcm")
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 10 else None


def _has_hole(files: Sequence[FileFacts], series: Sequence[SliceHeader]) -> bool:
    numbers = [header.instance_number for header in series if header.instance_number]
    others = [file.header.instance_number for file in files if file.header is not None]
    # A damaged file is present, though its header does not give its number.
    others += [
        _file_number(f.path) or 0 for f in files if f.header is not None and not f.header.modality
    ]
    return quality.has_hole(numbers or _numbers(series), others)


def _differ(series: Sequence[SliceHeader]) -> bool:
    """Whether slices of one series have several sizes, pixel spacings or directions."""
    shapes = {(h.rows, h.columns, _rounded(h.spacing), _rounded(h.orientation)) for h in series}
    return len(shapes) > 1


def _rounded(numbers: tuple[float, ...] | None) -> tuple[float, ...]:
    return tuple(round(number, 2) for number in numbers or ())

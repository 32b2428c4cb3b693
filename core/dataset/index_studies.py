"""The rows of `studies.parquet`: facts from the files of a study and from the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from core.dataset import quality
from core.dataset.index_shards import Shard
from core.dataset.label_table import as_known, named_studies
from core.dataset.rsna import BOXES_FILE, LABELS_FILE
from core.dataset.slice_table import file_numbers
from core.dataset.tables import LABEL_COLUMNS
from core.types import StudyRecord

STUDIES_SCHEMA: Final = pa.schema(
    [
        ("study_id", pa.string()),
        *((name, pa.int32()) for name in ("n_files", "n_slices", "rows", "cols")),
        *((f"{name}_mm", pa.float64()) for name in ("row", "z_spacing", "z_min_step")),
        *((f"{name}_mm", pa.float64()) for name in ("z_max_step", "thickness", "coverage")),
        ("kernel", pa.string()),
        ("labelled", pa.bool_()),
        *((name, pa.bool_()) for name in LABEL_COLUMNS),
        ("n_boxes", pa.int32()),
        ("has_mask", pa.bool_()),
        ("error", pa.string()),
        *((name, pa.bool_()) for name in quality.FLAG_COLUMNS),
    ]
)
"""Columns of `studies.parquet`."""


def study_rows(
    data_root: Path, records: Sequence[StudyRecord], shards: Mapping[str, Shard]
) -> list[dict[str, Any]]:
    """Return one row per study, by study id, with every column of `STUDIES_SCHEMA`.

    Args:
        data_root: Root folder of the data set; studies that only its tables name have a row too.
        records: The studies with a folder.
        shards: Shard of each of them by study id.

    Raises:
        DataRootError: A table cannot be read.
    """
    rows = [_study_row(record, shards[record.study_id]) for record in records]
    rows += [_absent_row(study) for study in _absent(data_root, shards)]
    usual = quality.usual_size((row["rows"], row["cols"]) for row in rows if row["n_slices"])
    for row in rows:
        size = (row["rows"], row["cols"])
        row["flag_odd_size"] = bool(row["n_slices"]) and quality.is_odd_size(size, usual)
    return sorted(rows, key=lambda row: row["study_id"])


def _study_row(record: StudyRecord, shard: Shard) -> dict[str, Any]:
    labels: Iterable[bool | None] = [None] * len(LABEL_COLUMNS)
    if record.fractured is not None:
        labels = [any(record.fractured), *record.fractured]
    row: dict[str, Any] = shard.facts | {
        "study_id": record.study_id,
        "labelled": record.fractured is not None,
        **dict(zip(LABEL_COLUMNS, labels, strict=True)),
        "n_boxes": len(record.boxes),
        "has_mask": record.mask_file is not None,
    }
    row["flag_missing_files"] |= bool(_unknown_slices(record, shard))
    return row


def _unknown_slices(record: StudyRecord, shard: Shard) -> set[int]:
    """Return the slice numbers of boxes for which there is no slice."""
    if not record.boxes:
        return set()
    files = shard.table.select(["file", "instance_number", "frame", "role"]).to_pandas()
    files = files.loc[files["role"].isin(["slice", "duplicate", "unreadable"])]
    return {number for number, _ in record.boxes} - set(file_numbers(files).tolist())


def _absent(data_root: Path, known: Iterable[str]) -> list[str]:
    """Return the studies that a table names but that have no folder."""
    ids = set(known)
    named = sorted(named_studies(data_root / name for name in (LABELS_FILE, BOXES_FILE)))
    return sorted(set(as_known(named, ids)) - ids)


def _absent_row(study_id: str) -> dict[str, Any]:
    empty = dict.fromkeys(("n_files", "n_slices", "rows", "cols", "n_boxes"), 0)
    flags = dict.fromkeys(quality.FLAG_COLUMNS, False) | {"flag_missing_files": True}
    error = f"{study_id}: a table names it, but it has no folder; copy the study."
    return {
        "study_id": study_id, "error": error, "kernel": "", "labelled": False, "has_mask": False,
        **empty, **flags,
    }  # fmt: skip

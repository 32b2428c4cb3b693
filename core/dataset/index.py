"""The index of a data root: tables of its files and studies, from one pass over the headers."""

from __future__ import annotations

import hashlib
import io
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.dataset.index_files import listing_of, read_file
from core.dataset.index_shards import (
    INDEX_SCHEMA,
    Shard,
    StudyTask,
    index_study,
    read_shard,
    shard_path,
)
from core.dataset.index_studies import STUDIES_SCHEMA, study_rows
from core.dataset.rsna import IMAGES_FOLDER, is_synthetic, read_studies
from core.dataset.tables import LABEL_COLUMNS
from core.errors import CSpineError, DataRootError, DicomSeriesError, StorageError
from core.system.atomic_files import write_bytes
from core.system.parallel import Workers, run_over
from core.types import Progress, StudyRecord

INDEX_FILE: Final = "index.parquet"
STUDIES_FILE: Final = "studies.parquet"

_INDEX_DIGEST: Final = b"index_sha256"
_SYNTHETIC: Final = b"synthetic"
_STALE_S: Final = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class DataIndex:
    """Contents of the headers and tables of a data root.

    Attributes:
        slices: One row per slice or other file, by study, the volume's slices first and in order:
            study_id, file (path in the study's folder), series_uid, instance_number, frame (from 1,
            0 for a file of one image), slice_index (place among the slices that the volume was
            made from, 0 cranial; -1 outside the volume), role, z_mm, row_mm, column_mm,
            thickness_mm, rows, cols, transfer_syntax, bytes, mtime_ns, sha256, of the file itself.
        studies: One row per study, of its volume as `read_series` turns it: study_id, n_files,
            n_slices, rows, cols, row_mm, z_spacing_mm, z_min_step_mm, z_max_step_mm,
            thickness_mm, coverage_mm, kernel ("" if no header names one), labelled,
            patient_overall and C1..C7 (nullable boolean),
            n_boxes, has_mask, error (None if `read_series` can read the study), and
            `core.dataset.quality.FLAG_COLUMNS`.
        folder: Folder of `index.parquet` and `studies.parquet`.
        synthetic: Whether the data root was generated, not scanned.
    """

    slices: pd.DataFrame
    studies: pd.DataFrame
    folder: Path
    synthetic: bool = False


def index_folder(data_root: Path, cache_dir: Path) -> Path:
    """Return the folder for the index of `data_root`."""
    name = hashlib.sha256(str(data_root.resolve()).encode()).hexdigest()[:16]
    return cache_dir / "index" / name


def build_index(
    data_root: Path,
    cache_dir: Path,
    *,
    workers: Workers = Workers(),  # noqa: B008 - frozen
    progress: Progress | None = None,
    fresh: bool = False,
) -> DataIndex:
    """Index a data root; only files that are new or changed since the last time are read.

    Changed means another name, size or time of change. Each finished study is saved, so a run that
    was killed continues where it stopped. The same files give the same bytes of both tables,
    whatever the workers and the order.

    Args:
        data_root: Root folder of the data set, in RSNA's layout.
        cache_dir: Folder for derived data; workers on other machines must see it too.
        workers: Local processes or a cluster.
        progress: Called with (studies done, studies in total).
        fresh: Whether to read every file again.

    Raises:
        DataRootError: There are no studies, or a table cannot be read.
        StorageError: `cache_dir` cannot be written.
        WorkerError: Worker processes died on some studies; the others are kept.
    """
    records = read_studies(data_root)
    folder = index_folder(data_root, cache_dir)
    tasks = [
        StudyTask(r.study_id, r.folder, shard_path(folder, r.study_id), fresh) for r in records
    ]
    failed: list[CSpineError] = []
    for outcome in run_over(index_study, tasks, workers=workers, progress=progress):
        if isinstance(outcome.error, StorageError):
            raise outcome.error
        if outcome.error is not None:
            failed.append(outcome.error)
    if failed:
        raise failed[0]
    _sweep(folder / "shards", {task.shard for task in tasks})
    _write_tables(data_root, folder, records)
    index = load_index(data_root, cache_dir)
    if index is None:
        raise StorageError(f"{folder} cannot be read back; check the disk, or delete that folder.")
    return index


def load_index(data_root: Path, cache_dir: Path) -> DataIndex | None:
    """Return the index as it was built last; None if it is missing or incomplete."""
    folder = index_folder(data_root, cache_dir)
    try:
        content = (folder / INDEX_FILE).read_bytes()
        studies = pq.read_table(folder / STUDIES_FILE)
        metadata = studies.schema.metadata or {}
        # The files are replaced one after the other: a crash in between leaves a mismatch.
        if metadata.get(_INDEX_DIGEST) != hashlib.sha256(content).hexdigest().encode():
            return None
        slices = pq.read_table(io.BytesIO(content))
    except (OSError, pa.ArrowException):
        return None
    if slices.column_names != INDEX_SCHEMA.names or studies.column_names != STUDIES_SCHEMA.names:
        return None
    return DataIndex(
        slices=slices.to_pandas(),
        studies=_nullable_labels(studies.to_pandas()),
        folder=folder,
        synthetic=metadata.get(_SYNTHETIC) == b"true",
    )


def verify_index(
    data_root: Path,
    cache_dir: Path,
    *,
    workers: Workers = Workers(),  # noqa: B008 - frozen
    progress: Progress | None = None,
) -> list[Path]:
    """Hash every file and compare it with the index, regardless of sizes and times.

    Returns:
        The files, sorted, that changed, are missing, or are not in the index.

    Raises:
        DataRootError: There is no index.
    """
    index = load_index(data_root, cache_dir)
    if index is None:
        raise DataRootError(f"{data_root} has no index; build it with `python -m core index`.")
    expected: defaultdict[str, dict[str, str]] = defaultdict(dict)
    columns = (index.slices[name] for name in ("study_id", "file", "sha256"))
    for study, file, digest in zip(*columns, strict=True):
        expected[study][file] = digest
    folders = {record.study_id: record.folder for record in read_studies(data_root)}
    images = data_root / IMAGES_FOLDER
    tasks = [
        (folders.get(study, images / study), expected.get(study, {}))
        for study in {*expected, *folders}
    ]
    changed: list[Path] = []
    for outcome in run_over(_changed_files, tasks, workers=workers, progress=progress):
        if outcome.error is not None:
            raise outcome.error
        changed += outcome.value or []
    return sorted(changed)


def _changed_files(task: tuple[Path, dict[str, str]]) -> list[Path]:
    folder, expected = task
    try:
        names = {name for name, _, _ in listing_of(folder)}
    except DicomSeriesError:
        names = set[str]()
    return [
        folder / name
        for name in names | expected.keys()
        if name not in names or read_file(folder / name)[0].sha256 != expected.get(name)
    ]


def _sweep(shards: Path, used: set[Path]) -> None:
    """Delete shards of missing studies, and old leftovers of runs that were killed."""
    for path in shards.iterdir():
        unfinished = path.name.startswith(".")
        if path not in used and (not unfinished or time.time() - path.stat().st_mtime > _STALE_S):
            path.unlink(missing_ok=True)


def _write_tables(data_root: Path, folder: Path, records: Sequence[StudyRecord]) -> None:
    shards = {r.study_id: _shard_of(folder, r.study_id) for r in records}
    tables = [shards[study].table for study in sorted(shards)]
    slices = pa.concat_tables(tables).cast(INDEX_SCHEMA)
    content = _parquet(slices)
    metadata = {
        _INDEX_DIGEST: hashlib.sha256(content).hexdigest().encode(),
        _SYNTHETIC: str(is_synthetic(data_root)).lower().encode(),
    }
    rows = study_rows(data_root, records, shards)
    studies = pa.Table.from_pylist(rows, schema=STUDIES_SCHEMA.with_metadata(metadata))
    write_bytes(folder / INDEX_FILE, content)
    write_bytes(folder / STUDIES_FILE, _parquet(studies))


def _shard_of(folder: Path, study_id: str) -> Shard:
    path = shard_path(folder, study_id)
    shard = read_shard(path)
    if shard is None:
        raise StorageError(
            f"{path} was written but cannot be read back; if workers run on other machines, let "
            "them write to the same folder."
        )
    return shard


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _nullable_labels(studies: pd.DataFrame) -> pd.DataFrame:
    studies = studies.astype(dict.fromkeys(LABEL_COLUMNS, "boolean"))
    return studies.assign(
        error=studies["error"].astype(object).where(studies["error"].notna(), None)
    )

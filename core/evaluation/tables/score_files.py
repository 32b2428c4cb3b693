"""Score and truth tables from files: 711,601 slices in well under a second each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.errors import CSpineError, DataRootError, PredictionsError
from core.evaluation.arrays import frozen, offsets_of, rows_of_studies
from core.evaluation.tables.score_table import NO_FOLD, ScoreTable, table_from_slices
from core.evaluation.tables.truth import (
    PRESENCE_FILE,
    TRUTH_FILE,
    StudyTruth,
    truth_from_csv,
    truth_from_data_root,
    truth_from_parquet,
)
from core.evaluation.tables.truth_table import TruthTable, truth_table
from core.inference.aggregation import Pooling
from core.inference.outputs import FRACTURE_COLUMNS, PRESENCE_COLUMNS, SLICES_FILE
from core.types import StudyId

_SCORES: Final = [*PRESENCE_COLUMNS, *FRACTURE_COLUMNS]
_TRUTH_PRESENCE: Final = [f"present_{name}" for name in VERTEBRAE]
_BOXED: Final = "boxed"
_SCORES_REMEDY: Final = "predict the studies again"
_TRUTH_REMEDY: Final = "write it again"


def read_score_table(
    path: Path, name: str | None = None, *, pooling: Pooling = "mean"
) -> ScoreTable:
    """Read slice outputs of one model and aggregate them.

    Args:
        path: A Parquet file in the schema of `slices.parquet`, or a folder that `predict` wrote.
        name: Name of the model; None for the name in the file, otherwise the file's name.
        pooling: How p_j is pooled over slices.

    Raises:
        PredictionsError: The file is missing or unreadable, lacks a column, or a column holds NaN,
            text, numbers out of range or slices that are not 0..n-1.
    """
    file = path / SLICES_FILE if path.is_dir() else path
    source = _Source(file, PredictionsError, _SCORES_REMEDY)
    table = source.read(["study_id", "slice_index", *_SCORES, "fracture_type"], ["fold", "model"])
    rows = source.order(table)
    types = np.unique(source.numbers(table, "fracture_type", np.int64))
    if len(types) != 1:
        raise PredictionsError(
            f"{file}: column fracture_type changes between rows; use one model per file."
        )
    single = types[0] == 1 and _repeats(table, source)
    fracture = FRACTURE_COLUMNS[:1] if single else FRACTURE_COLUMNS
    try:
        return table_from_slices(
            name or _model_name(table) or path.stem,
            rows.study_ids,
            rows.offsets,
            source.columns(table, PRESENCE_COLUMNS, rows),
            source.columns(table, fracture, rows),
            int(types[0]),
            fold=_folds(table, rows),
            pooling=pooling,
        )
    except PredictionsError as error:
        raise PredictionsError(f"{file}: {error}") from error


def read_truth_table(
    path: Path, slices: Path | None = None, masks_of: Collection[str] | None = None
) -> TruthTable:
    """Read the truth of a cohort.

    Args:
        path: A Parquet file with study_id, y_C1..y_C7 and patient_overall, a `train.csv`, a folder
            with `truth.parquet`, or a data root.
        slices: Parquet with study_id, slice_index, present_C1..present_C7 and, where known, boxed.
            If None, `<stem>_slices.parquet` or `present.parquet` next to a Parquet truth, if any.
        masks_of: Studies of a data root whose masks are read, which takes time; None means all.
            Labels are read for all studies.

    Raises:
        DataRootError: The path is none of these, or a row or mask is wrong.
        DicomSeriesError: A study with a mask cannot be read.
    """
    file = path / TRUTH_FILE if path.is_dir() and (path / TRUTH_FILE).is_file() else path
    if slices is None and file.suffix == ".parquet":
        candidates = (file.with_name(f"{file.stem}_slices.parquet"), file.with_name(PRESENCE_FILE))
        slices = next((place for place in candidates if place.is_file()), None)
    if slices is not None:
        return _with_slices(truth_table(_labels(file)), slices)
    return truth_table(_from_data_root(file, masks_of) if file.is_dir() else _labels(file))


def _from_data_root(root: Path, masks_of: Collection[str] | None) -> list[StudyTruth]:
    if masks_of is None:
        return truth_from_data_root(root)
    masked = {study.study_id: study for study in truth_from_data_root(root, masks_of)}
    labels = truth_from_data_root(root, with_presence=False)
    return [masked.get(study.study_id, study) for study in labels]


def _labels(file: Path) -> list[StudyTruth]:
    """Labels alone; slices come from another table."""
    return truth_from_parquet(file) if file.suffix == ".parquet" else truth_from_csv(file)


def _with_slices(labels: TruthTable, file: Path) -> TruthTable:
    """Add the slices of `file` to labels; studies without a label are left out."""
    source = _Source(file, DataRootError, _TRUTH_REMEDY)
    table = source.read(["study_id", "slice_index", *_TRUTH_PRESENCE], [_BOXED])
    rows = source.order(table)
    names = list(_TRUTH_PRESENCE)
    boxed = _BOXED in table.column_names
    values = source.flags(table, [*names, _BOXED] if boxed else names, rows)
    known = np.isin(rows.study_ids, labels.study_ids)
    chosen = rows_of_studies(rows.offsets, np.flatnonzero(known))
    if not known.all():
        values = values[chosen]
    lengths = np.zeros(labels.n_studies, np.int64)
    places = np.searchsorted(labels.study_ids, rows.study_ids[known])
    lengths[places] = np.diff(rows.offsets)[known]
    return TruthTable(
        study_ids=labels.study_ids,
        fractured=labels.fractured,
        offsets=frozen(offsets_of(lengths)),
        presence=frozen(np.ascontiguousarray(values[:, :N_VERTEBRAE])),
        boxed=frozen(np.ascontiguousarray(values[:, N_VERTEBRAE])) if boxed else None,
        ids_by_name=labels.ids_by_name,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _RowOrder:
    """The order of a table's rows: studies by id, slices from the first to the last."""

    study_ids: NDArray[np.str_]
    offsets: NDArray[np.int64]
    order: NDArray[np.intp] | None

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self.order is None else values[self.order]


@dataclass(frozen=True, slots=True)
class _Source:
    """A Parquet file, with the error class and remedy of its faults."""

    file: Path
    error: type[CSpineError]
    remedy: str

    def fault(self, problem: str) -> CSpineError:
        return self.error(f"{self.file}{problem}; {self.remedy}.")

    def read(self, required: list[str], optional: list[str]) -> pa.Table:
        if not self.file.is_file():
            raise self.error(f"{self.file} does not exist; check the path.")
        try:
            present = pq.read_schema(self.file).names
            missing = [name for name in required if name not in present]
            if missing:
                raise self.fault(f" lacks the column {missing[0]}")
            wanted = [*required, *(name for name in optional if name in present)]
            table = pq.read_table(
                self.file, columns=wanted, memory_map=True, read_dictionary=["study_id"]
            )
        except (OSError, ValueError, pa.ArrowException) as error:
            raise self.fault(" cannot be read as Parquet") from error
        if table.num_rows == 0:
            raise self.fault(" has no row")
        for name in required:
            if table.column(name).null_count:
                raise self.fault(f": column {name} has an empty cell")
        return table

    def order(self, table: pa.Table) -> _RowOrder:
        """Find the order of rows, and check that slices of a study are 0..n-1."""
        ids = table.column("study_id").combine_chunks()
        if not pa.types.is_dictionary(ids.type):
            ids = ids.dictionary_encode()
        texts = [str(text) for text in ids.dictionary.to_pylist()]
        if not all(map(StudyId.fits, texts)):
            raise self.fault(": column study_id holds something other than study ids")
        names = np.array(texts, np.str_)
        ranks = np.empty(len(names), np.int64)
        ranks[np.argsort(names, kind="stable")] = np.arange(len(names))
        codes = ranks[ids.indices.to_numpy(zero_copy_only=False)]
        index = self.numbers(table, "slice_index", np.int64)
        key_rises = (codes[1:] > codes[:-1]) | (
            (codes[1:] == codes[:-1]) & (index[1:] > index[:-1])
        )
        order = None if bool(key_rises.all()) else np.lexsort((index, codes))
        if order is not None:
            codes, index = codes[order], index[order]
        used, lengths = np.unique(codes, return_counts=True)
        offsets = offsets_of(lengths)
        expected = np.arange(len(codes)) - np.repeat(offsets[:-1], lengths)
        wrong = np.flatnonzero(index != expected)
        names = np.sort(names)
        if len(wrong):
            study = int(np.searchsorted(offsets, wrong[0], side="right")) - 1
            raise self.fault(
                f": column slice_index of study {names[used[study]]} is not "
                f"0..{lengths[study] - 1}, each once"
            )
        return _RowOrder(names[used], offsets, order)

    def numbers(self, table: pa.Table, name: str, dtype: Any) -> NDArray[Any]:  # noqa: ANN401
        column = table.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise self.fault(f": column {name} is not numeric")
        return column.to_numpy().astype(dtype, copy=False)

    def columns(self, table: pa.Table, names: list[str], rows: _RowOrder) -> NDArray[np.float32]:
        values = np.empty((table.num_rows, len(names)), np.float32)
        for j, name in enumerate(names):
            values[:, j] = rows.arranged(self.numbers(table, name, np.float32))
        return values

    def flags(self, table: pa.Table, names: list[str], rows: _RowOrder) -> NDArray[np.bool_]:
        values = np.empty((table.num_rows, len(names)), np.bool_)
        for j, name in enumerate(names):
            column = table.column(name)
            if pa.types.is_boolean(column.type):
                if column.null_count:
                    raise self.fault(f": column {name} has an empty cell")
                own = column.to_numpy()
            else:
                own = self.numbers(table, name, np.float64)
                if not bool(np.isin(own, (0, 1)).all()):
                    raise self.fault(f": column {name} holds something other than 0 and 1")
            values[:, j] = rows.arranged(own.astype(np.bool_))
        return values


def _repeats(table: pa.Table, source: _Source) -> bool:
    """Whether all seven fracture columns are equal, as a Type 1 model writes them."""
    first = source.numbers(table, FRACTURE_COLUMNS[0], np.float32)
    return all(
        np.array_equal(first, source.numbers(table, name, np.float32))
        for name in FRACTURE_COLUMNS[1:]
    )


def _model_name(table: pa.Table) -> str:
    if "model" not in table.column_names:
        return ""
    value = table.column("model")[0].as_py()
    return value if isinstance(value, str) else ""


def _folds(table: pa.Table, rows: _RowOrder) -> NDArray[np.int16] | None:
    if "fold" not in table.column_names:
        return None
    column = table.column("fold")
    if column.null_count == len(column):
        return None
    filled = pc.fill_null(column.cast(pa.int16()), NO_FOLD).to_numpy()
    return rows.arranged(filled)[rows.offsets[:-1]].astype(np.int16)

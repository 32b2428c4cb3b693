"""Tables of scores and truth of unknown origin, read in a process that may be killed.

The child leaves the arrays of a table in one file of plain numbers and text, and answers with the
rest as JSON.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import CSpineError, DataRootError, PredictionsError, WorkerError
from core.evaluation.arrays import frozen
from core.evaluation.tables.attribute_columns import ColumnTable, read_columns
from core.evaluation.tables.outside_scores import OUTSIDE_SUFFIXES, read_outside_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import ScoreTable
from core.evaluation.tables.truth_table import TruthTable
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers
from core.types import Progress

AnyTable = TypeVar("AnyTable", ScoreTable, TruthTable, ColumnTable)

_ARRAYS_FILE: Final = "table.npz"


def confined_tables(limits: Limits, lanes: int = 1) -> ConfinedWorkers:
    """Give workers for the functions below; each starts with its first call."""
    return ConfinedWorkers(write_table, limits, lanes)


def read_scores_confined(path: Path, name: str | None, worker: ConfinedWorkers) -> ScoreTable:
    """Read what another model gave: a text table, a Parquet file or a folder of predictions.

    Args:
        path: As for `read_outside_scores`, by its ending, otherwise as for `read_score_table`.
        name: Name of the model; None for the one in the file, or the file's own.
        worker: From `confined_tables`.

    Raises:
        PredictionsError: It cannot be read, or takes too much memory or time.
    """
    return _read(ScoreTable, "scores", path, name, worker, PredictionsError)


def read_truth_confined(path: Path, worker: ConfinedWorkers) -> TruthTable:
    """Read the truth of a cohort as `read_truth_table` does, with all masks.

    Raises:
        DataRootError: It cannot be read, or takes too much memory or time.
        DicomSeriesError: A study with a mask cannot be read.
    """
    return _read(TruthTable, "truth", path, None, worker, DataRootError)


def read_columns_confined(path: Path, worker: ConfinedWorkers) -> ColumnTable:
    """Read columns that a user adds as `read_columns` does.

    Raises:
        DataRootError: It cannot be read, or takes too much memory or time.
    """
    found = _read(ColumnTable, "columns", path, None, worker, DataRootError)
    return replace(found, names=tuple(found.names))


def _read(
    kind: type[AnyTable], what: Literal["scores", "truth", "columns"], path: Path, name: str | None,
    worker: ConfinedWorkers, error_type: type[CSpineError],
) -> AnyTable:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / _ARRAYS_FILE
        request = {"what": what, "path": str(path.absolute()), "name": name, "out": str(out)}
        try:
            values: dict[str, Any] = worker.call(request)
            with np.load(out, allow_pickle=False) as arrays:
                values |= {key: frozen(arrays[key]) for key in arrays.files}
        except (WorkerError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise error_type(
                f"{path}: reading the table took too much memory or time, or broke the process "
                "that read it; write it again with fewer rows."
            ) from error
    return kind(**values)


def write_table(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Read a table and write its arrays to `out`; return its other values: the workers' task."""
    del progress
    path, name = Path(request["path"]), request["name"]
    if request["what"] == "truth":
        table: ScoreTable | TruthTable | ColumnTable = read_truth_table(path)
    elif request["what"] == "columns":
        table = read_columns(path)
    elif path.name.lower().endswith(OUTSIDE_SUFFIXES):
        table = read_outside_scores(path, name).table
    else:
        table = read_score_table(path, name)
    content: dict[str, Any] = {one.name: getattr(table, one.name) for one in fields(table)}
    arrays: dict[str, NDArray[Any]] = {
        key: value for key, value in content.items() if isinstance(value, np.ndarray)
    }
    with Path(request["out"]).open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    return {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in content.items()
        if key not in arrays
    }

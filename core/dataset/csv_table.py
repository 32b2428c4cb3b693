"""CSV tables with a schema: wrong rows are reported by line and left out, the rest is used."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from core.errors import DataRootError

RAGGED: Final = "n_values"
"""Column with the number of surplus (above 0) or missing (below 0) values in a row."""


@dataclass(frozen=True, slots=True)
class TableProblem:
    """An invalid row or file of a data root. Its text quotes no cell of the table.

    Attributes:
        file: The table, or the mask.
        line: Line of the file in which the row begins, the heading being line 1; None for a mask.
        column: Column of the row; None for the whole row.
        problem: What is wrong, a clause without a full stop.
        remedy: How to fix it, a clause without a full stop.
        kept: Whether the row is used nevertheless.
    """

    file: Path
    line: int | None
    column: str | None
    problem: str
    remedy: str
    kept: bool = False

    def __str__(self) -> str:
        """File, line, problem and remedy in one sentence."""
        return self.sentence(str(self.file))

    def sentence(self, name: str) -> str:
        """Describe the problem with `name` in place of the path, which may be private."""
        where = name if self.line is None else f"{name}, line {self.line}"
        return f"{where}: {self.problem}; {self.remedy}."


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """Read a CSV table with a heading as text.

    Empty rows are skipped. A row of another length than the heading is padded or cut; a schema
    rejects it by the column `RAGGED`.

    Args:
        path: UTF-8, with or without a byte-order mark.
        columns: Required columns, in any order; others are ignored.

    Returns:
        `columns` as stripped text, and `RAGGED`; the index is the line in which the row begins.
        None if the file does not exist.

    Raises:
        DataRootError: The file is not CSV text, or its heading lacks a column or has it twice.
    """
    try:
        # Spreadsheets write a byte-order mark.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            heading, rows = _parse(path, stream)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _not_csv(path) from error
    missing = [name for name in columns if name not in heading]
    if missing:
        raise DataRootError(
            f"{path}, line 1: no column {', '.join(missing)}; add it to the heading."
        )
    twice = [name for name in columns if heading.count(name) > 1]
    if twice:
        raise DataRootError(f"{path}, line 1: column {twice[0]} occurs twice; remove one.")
    places = [heading.index(name) for name in columns]
    cells = [[row[p].strip() if p < len(row) else "" for p in places] for _, row in rows]
    table = pd.DataFrame(
        np.array(cells, dtype=object).reshape(-1, len(columns)),
        columns=list(columns),
        index=pd.Index([line for line, _ in rows], dtype=np.int64, name="line"),
    )
    table[RAGGED] = np.array([_surplus(row, len(heading)) for _, row in rows], np.int64)
    return table


def numbers(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a copy with `columns` as float64; invalid numbers become NaN."""
    parsed = {
        name: np.asarray(pd.to_numeric(table[name], errors="coerce"), np.float64)
        for name in columns
    }
    return table.assign(**parsed)


def check_table(
    table: pd.DataFrame, schema: pa.DataFrameSchema, path: Path
) -> tuple[pd.DataFrame, list[TableProblem]]:
    """Split a table into the rows that meet the schema and the problems of the others.

    Args:
        table: The table; its index is the line in the file.
        schema: Schema whose checks were all made by `rule`.
        path: The file, for the problems.

    Returns:
        The valid rows; one problem per line and broken rule, by line. For a row with too few or
        too many values only that is reported.
    """
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases[["index", "check"]].drop_duplicates()
    else:
        return table, []
    broken = cases["check"].str.split("\n", expand=True)
    broken = broken.set_axis(["column", "problem", "remedy"], axis=1)
    broken["line"] = cases["index"].astype(np.int64)
    ragged = broken.loc[broken["column"] == RAGGED, "line"]
    broken = broken[(broken["column"] == RAGGED) | ~broken["line"].isin(ragged)]
    order = {name: k for k, name in enumerate((RAGGED, *table.columns))}
    broken = broken.sort_values(
        ["line", "column"], key=lambda c: c.map(order) if c.name == "column" else c, kind="stable"
    )
    problems = [
        TableProblem(path, int(line), None if column == RAGGED else column, problem, remedy)
        for line, column, problem, remedy in zip(
            broken["line"], broken["column"], broken["problem"], broken["remedy"], strict=True
        )
    ]
    return table.loc[~table.index.isin(broken["line"])], problems


def rule(holds: Callable[[Any], Any], column: str, problem: str, remedy: str) -> pa.Check:
    """Make a check whose failure `check_table` can report.

    Args:
        holds: Maps the column (or the whole table) to booleans, one per row.
        column: The column at fault.
        problem: As in `TableProblem`.
        remedy: As in `TableProblem`.
    """

    def by_row(data: Any) -> pd.Series:  # noqa: ANN401 - a column or a table
        return pd.Series(np.asarray(holds(data), np.bool_), index=data.index)

    return pa.Check(by_row, error=f"{column}\n{problem}\n{remedy}", ignore_na=False)


def _parse(path: Path, stream: Any) -> tuple[list[str], list[tuple[int, list[str]]]]:  # noqa: ANN401
    """Return the heading and (line in which it begins, values) of every row with a value."""
    # Strict, or an open quotation mark would silently swallow the rest of the file.
    reader = csv.reader(stream, skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        heading = [name.strip() for name in next(reader, [])]
        line = reader.line_num + 1
        for row in reader:
            if any(value.strip() for value in row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataRootError(
            f"{path}, line {line}: it cannot be read as CSV; check its quotation marks."
        ) from error
    return heading, rows


def _surplus(row: list[str], columns: int) -> int:
    """Return the number of surplus (ignoring trailing empty ones) or missing values of a row."""
    if len(row) <= columns:
        return len(row) - columns
    return max(k + 1 for k, value in enumerate(row) if k < columns or value.strip()) - columns


def _not_csv(path: Path) -> DataRootError:
    return DataRootError(f"{path} cannot be read as a CSV table; write it as UTF-8.")

"""CSV tables with a schema: wrong rows are reported by line and left out, the rest is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from core.dataset.csv_reader import RAGGED


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

"""Columns that a user adds to the studies: a CSV with one row per study."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.dataset.csv_reader import RAGGED, folded, numbers, read_table
from core.dataset.label_table import as_known
from core.dataset.tables import ALIASES, UID
from core.errors import DataRootError
from core.evaluation.tables.attributes import Attribute, from_names, from_numbers

MOST_COLUMNS: Final = 40
MOST_ROWS: Final = 20_000
LONGEST_NAME: Final = 60
"""Longer cells are text, which makes no groups."""
_TEXT_SHARE: Final = 0.5
_LEFT_OUT: Final = "left out"


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTable:
    """Added columns of studies.

    Attributes:
        names: Headings, without that of the study.
        study_ids: str (n,), each once.
        cells: str (n, columns), without blanks around them, cut after `LONGEST_NAME` + 1
            characters; "" is not known.
        decimal_comma: Whether a comma in a number is its decimal point.
    """

    names: tuple[str, ...]
    study_ids: NDArray[np.str_]
    cells: NDArray[np.str_]
    decimal_comma: bool = False


def read_columns(path: Path) -> ColumnTable:
    """Read a CSV with `StudyInstanceUID` (or study_id, study, uid) and any other columns.

    Raises:
        DataRootError: It cannot be read, has no other column or too many, too many rows, or a row
            without a study, or a study twice.
    """
    table = read_table(path, (UID,), aliases=ALIASES, others=True)
    if table is None:
        raise DataRootError(f"{path} does not exist; give a CSV with a column {UID}.")
    names = [name for name in table.columns if name not in (UID, RAGGED)]
    if not names or len(names) > MOST_COLUMNS:
        raise DataRootError(
            f"{path} has {len(names)} columns besides {UID}; give 1 to {MOST_COLUMNS}."
        )
    if not 0 < len(table) <= MOST_ROWS:
        raise DataRootError(f"{path} has {len(table):,} rows; give 1 to {MOST_ROWS:,}.")
    for line, study, surplus in zip(table.index, table[UID], table[RAGGED], strict=True):
        if surplus > 0:
            raise DataRootError(
                f"{path}, line {line}: it has more values than the heading; check its separators."
            )
        if not study:
            raise DataRootError(f"{path}, line {line}: no study id; give one in each row.")
    twice = table.index[table[UID].duplicated()]
    if len(twice):
        raise DataRootError(
            f"{path}, line {twice[0]}: this study has a row already; keep one row per study."
        )
    return ColumnTable(
        names=tuple(names),
        study_ids=np.array(table[UID].to_list(), np.str_),
        # One longer character says that a cell is text; the rest would take memory in every row.
        cells=np.array(
            [[cell[: LONGEST_NAME + 1] for cell in row] for row in table[names].to_numpy(object)],
            np.str_,
        ),
        decimal_comma=table.attrs["separator"] != ",",
    )


def column_attributes(
    table: ColumnTable, study_ids: NDArray[np.str_]
) -> tuple[list[Attribute], list[str]]:
    """The columns as attributes of `study_ids` (n,), and notes on what is left out.

    Numbers are divided at their quartiles where they have more than a few values.

    Raises:
        DataRootError: No row is of one of the studies.
    """
    known = study_ids.tolist()
    rows = {name: k for k, name in enumerate(as_known(table.study_ids.tolist(), known))}
    places = np.array([rows.get(name, -1) for name in known])
    if not bool((places >= 0).any()):
        raise DataRootError(
            f"None of the {len(rows):,} rows is of one of the {len(known):,} studies shown; give "
            "their StudyInstanceUIDs."
        )
    absent = int((places < 0).sum())
    notes = [f"{absent:,} of {len(known):,} studies have no row."] if absent else []
    found: list[Attribute] = []
    keys: Counter[str] = Counter()
    for k, name in enumerate(table.names):
        cells = np.where(places >= 0, table.cells[:, k][places], "")
        key = _key(name)
        keys[key] += 1
        unique = key if keys[key] == 1 else f"{key}.{keys[key]}"
        attribute = _attribute(unique, name, cells, decimal_comma=table.decimal_comma)
        if attribute is None:
            notes.append(f"A column is {_LEFT_OUT}: {name} has one value only, or is text.")
        else:
            found.append(attribute)
    return found, notes


def _attribute(
    key: str, name: str, cells: NDArray[np.str_], *, decimal_comma: bool
) -> Attribute | None:
    """None for a column that makes no groups."""
    known = cells[cells != ""]
    if len(np.unique(known)) < 2 or max(map(len, known), default=0) > LONGEST_NAME:
        return None
    values = _numbers(cells, decimal_comma=decimal_comma)
    if bool(np.isfinite(values[cells != ""]).all()):
        return from_numbers(key, name, "added", values)
    # Ids and remarks differ from study to study.
    if len(np.unique(known)) > max(_TEXT_SHARE * len(known), 2):
        return None
    return from_names(key, name, "added", cells.tolist())


def _numbers(cells: NDArray[np.str_], *, decimal_comma: bool) -> NDArray[np.float64]:
    import pandas as pd

    table = pd.DataFrame({"value": cells.astype(object)})
    table.attrs["separator"] = ";" if decimal_comma else ","
    return np.asarray(numbers(table, ["value"])["value"], np.float64)


def _key(name: str) -> str:
    """A column's name as it can stand in a link."""
    return "csv." + "".join(c for c in folded(name) if c.isalnum())[:24]

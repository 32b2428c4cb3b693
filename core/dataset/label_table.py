"""The tables of labels and boxes, checked row by row; the same for a data root and a lone file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.csv_reader import numbers, read_table
from core.dataset.csv_table import TableProblem, check_table
from core.dataset.tables import ALIASES, BOX_COLUMNS, BOXES, LABEL_COLUMNS, LABELS, OVERALL, UID

_EDGES = ("left", "top", "right", "bottom")


def read_labels(path: Path) -> tuple[pd.DataFrame, list[TableProblem]] | None:
    """Read a table like RSNA's `train.csv`; without patient_overall, that is the largest of C1..C7.

    Returns:
        One row per study with valid labels: study_id, line, patient_overall and C1..C7 as bool; and
        the problems of the other rows. None if the file does not exist.

    Raises:
        DataRootError: The file is not CSV text, or its heading lacks a column.
    """
    table = read_table(path, (UID, *VERTEBRAE), optional=(OVERALL,), aliases=ALIASES)
    if table is None:
        return None
    given = [name for name in LABEL_COLUMNS if name in table.columns]
    table = numbers(table, given, booleans=True)
    if OVERALL not in given:
        largest = (table[list(VERTEBRAE)].to_numpy(np.float64) == 1).any(axis=1)
        table = table.assign(**{OVERALL: largest.astype(np.float64)})
    table, problems = check_table(table, LABELS, path)
    labels = table.astype(dict.fromkeys(LABEL_COLUMNS, np.bool_)).reset_index()
    labels = labels.rename(columns={UID: "study_id"})
    return labels.loc[:, ["study_id", "line", *LABEL_COLUMNS]], problems


def read_boxes(path: Path) -> tuple[pd.DataFrame, list[TableProblem]] | None:
    """Read a table like RSNA's `train_bounding_boxes.csv`.

    Returns:
        One row per valid box: study_id, line, slice_number int64, left, top, right, bottom in
        pixels, float64; and the problems of the other rows. None if the file does not exist.

    Raises:
        DataRootError: The file is not CSV text, or its heading lacks a column.
    """
    table = read_table(path, (UID, *BOX_COLUMNS), aliases=ALIASES)
    if table is None:
        return None
    table, problems = check_table(numbers(table, BOX_COLUMNS), BOXES, path)
    boxes = pd.DataFrame(
        {
            "study_id": table[UID],
            "line": table.index,
            "slice_number": table["slice_number"].astype(np.int64),
            "left": table["x"],
            "top": table["y"],
            "right": table["x"] + table["width"],
            "bottom": table["y"] + table["height"],
        }
    ).reset_index(drop=True)
    return boxes, problems


def named_studies(paths: Iterable[Path]) -> set[str]:
    """Return the ids of every study that a row of these tables names, valid or not."""
    named: set[str] = set()
    for path in paths:
        table = read_table(path, (UID,), aliases=ALIASES)
        if table is not None:
            named |= set(table[UID].tolist())
    return named - {""}


def no_labels() -> pd.DataFrame:
    """Return `read_labels` of a table without rows."""
    return _empty({"study_id": object, "line": np.int64} | dict.fromkeys(LABEL_COLUMNS, bool))


def no_boxes() -> pd.DataFrame:
    """Return `read_boxes` of a table without rows."""
    types: dict[str, Any] = {"study_id": object, "line": np.int64, "slice_number": np.int64}
    return _empty(types | dict.fromkeys(_EDGES, np.float64))


def as_known(ids: Collection[str], known: Collection[str]) -> list[str]:
    """Return ids as `known` writes them, where they differ by case and blanks alone.

    An id stays as it is where several known ones, or several of `ids`, differ so.
    """
    there, own = set(known), set(ids)
    if own <= there:
        return list(ids)
    known_by, own_by = _by_spelling(there), _by_spelling(own)

    def known_as(name: str) -> str:
        key = _plain(name)
        alike = known_by.get(key, [])
        return alike[0] if len(alike) == len(own_by[key]) == 1 else name

    return [name if name in there else known_as(name) for name in ids]


def _by_spelling(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_plain(name), []).append(name)
    return found


def _plain(study_id: str) -> str:
    return "".join(study_id.split()).casefold()


def _empty(types: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: np.empty(0, kind) for name, kind in types.items()})

"""Imported models: vertebra and patient scores from a CSV file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.csv_reader import RAGGED, folded, heading_of, numbers, read_table
from core.dataset.tables import ALIASES, OVERALL, UID
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.score_table import ScoreTable, table_without_slices
from core.inference.aggregation import patient_scores
from core.types import StudyId

OUTSIDE_SUFFIXES: Final = (".csv", ".tsv", ".txt")
"""Names of text tables; `predict` writes Parquet."""
_ROW_ID: Final = r"^(.+?)\s*_\s*(patient[_ ]?overall|overall|C[1-7])$"
_ROUNDED: Final = 1e-3
"""Tolerance of scores written with three or four digits."""


@dataclass(frozen=True, slots=True, eq=False)
class OutsideScores:
    """An imported model with notes on its scores.

    Attributes:
        table: Scores, without slices.
        notes: Sentences for the user, for example on a patient score that does not follow from the
            vertebra scores.
    """

    table: ScoreTable
    notes: tuple[str, ...]


def read_outside_scores(path: Path, name: str | None = None) -> OutsideScores:
    """Read a CSV of another model; the heading tells its layout.

    "wide": `uid` (or `StudyInstanceUID`), `C1`..`C7` and, where known, `Overall` (or
    `patient_overall`), one row per study. "competition": `row_id` (`<uid>_<type>`, type `C1`..`C7`
    and, where known, `patient_overall`) and `fractured`, seven or eight rows per study. Without a
    patient score, that is 1 - prod_j (1 - p_j), and a note says so. `read_table` says what else may
    differ.

    Args:
        path: CSV file.
        name: Name of the model; the file's name without its ending if None.

    Raises:
        PredictionsError: The file cannot be read or has neither layout; a score is missing, not a
            number or outside [0, 1]; a study comes twice or lacks a row. The line is named.
    """
    model = name or path.stem
    if {folded("row_id"), "fractured"} <= set(_heading(path)):
        return _from_competition(path, model, _read(path, ("row_id", "fractured"), ()))
    return _from_wide(path, model, _read(path, (UID, *VERTEBRAE), (OVERALL,)))


def _from_wide(path: Path, name: str, table: pd.DataFrame) -> OutsideScores:
    scores = np.column_stack([_probabilities(path, table, column) for column in VERTEBRAE])
    given = OVERALL in table.columns
    patients = _probabilities(path, table, OVERALL) if given else None
    names = table[UID].astype(str).to_list()
    _check_names(path, table, names)
    ids = np.array(names, np.str_)
    _check_once(path, table, ids)
    return _outside(name, ids, scores, patients)


def _from_competition(path: Path, name: str, table: pd.DataFrame) -> OutsideScores:
    values = _probabilities(path, table, "fractured")
    parts = table["row_id"].astype(str).str.extract(_ROW_ID, flags=re.IGNORECASE)
    overall = parts[1].str.casefold().str.endswith("overall", na=False)
    parts[1] = parts[1].str.upper().mask(overall, OVERALL)
    wrong = parts[1].isna().to_numpy(np.bool_)
    if bool(wrong.any()):
        raise _fault(
            path, table, wrong, "row_id is not <uid>_<type>",
            "let the type be patient_overall or C1..C7",
        )  # fmt: skip
    _check_names(path, table, parts[0].to_list())
    twice = parts.duplicated().to_numpy(np.bool_)
    if bool(twice.any()):
        raise _fault(path, table, twice, "row_id comes a second time", "keep one")
    wide = parts.assign(score=values).pivot_table(
        index=0, columns=1, values="score", aggfunc="first"
    )
    given = OVERALL in wide.columns
    kinds = [*VERTEBRAE, *([OVERALL] if given else [])]
    wide = wide.reindex(columns=kinds)
    gaps = wide.isna()
    if bool(gaps.to_numpy().any()):
        study = str(wide.index[int(np.argmax(gaps.any(axis=1)))])
        kind = str(wide.columns[int(np.argmax(gaps.loc[study]))])
        raise PredictionsError(
            f"{path.name}: study {study} has no row of type {kind}; give {len(kinds)} rows per "
            "study."
        )
    ids = np.array(wide.index.to_list(), np.str_)
    patients = wide[OVERALL].to_numpy(np.float64) if given else None
    return _outside(name, ids, wide[list(VERTEBRAE)].to_numpy(np.float64), patients)


def _outside(
    name: str,
    ids: NDArray[np.str_],
    scores: NDArray[np.float64],
    patients: NDArray[np.float64] | None,
) -> OutsideScores:
    """Gather vertebra scores (n, 7) and patient scores (n,), None where the file has none."""
    if patients is None:
        table = table_without_slices(name, ids, scores.copy(), patient_scores(scores))
        note = (
            f"{name}: the file has no patient score; it is 1 - prod_j (1 - p_j) of the vertebrae."
        )
        return OutsideScores(table, (note,))
    table = table_without_slices(name, ids, scores.copy(), patients.copy())
    product = patient_scores(table.vertebra_scores)
    differ = int((np.abs(product - table.patient_scores) > _ROUNDED).sum())
    notes = (
        (
            f"{name}: the patient score of {differ} of {len(ids)} studies is not "
            "1 - prod_j (1 - p_j) of its vertebrae; it is taken as given.",
        )
        if differ
        else ()
    )
    return OutsideScores(table, notes)


def _heading(path: Path) -> list[str]:
    try:
        heading = heading_of(path)
    except DataRootError as error:
        raise PredictionsError(str(error)) from error
    if heading is None:
        raise PredictionsError(f"{path} does not exist; check the path.")
    return heading


def _read(path: Path, columns: tuple[str, ...], optional: tuple[str, ...]) -> pd.DataFrame:
    """The columns as text and numbers of row lengths, by line."""
    try:
        table = read_table(
            path, columns, optional=optional, aliases=ALIASES,
            remedy="give the columns uid, Overall, C1..C7, or row_id, fractured",
        )  # fmt: skip
    except DataRootError as error:
        raise PredictionsError(str(error)) from error
    if table is None or table.empty:
        raise PredictionsError(f"{path.name} has no row below its heading; give one row per study.")
    ragged = table[RAGGED].to_numpy() != 0
    if bool(ragged.any()):
        raise _fault(
            path, table, ragged, "the row has too few or too many values", "correct the row"
        )
    return table


def _probabilities(path: Path, table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    values = numbers(table, [column], booleans=True)[column]
    wrong = ~values.between(0.0, 1.0).to_numpy(np.bool_)
    if bool(wrong.any()):
        raise _fault(path, table, wrong, f"{column} is not a number between 0 and 1", "correct it")
    return values.to_numpy(np.float64)


def _check_names(path: Path, table: pd.DataFrame, names: list[str]) -> None:
    wrong = np.array([not StudyId.fits(name) for name in names])
    if bool(wrong.any()):
        raise _fault(
            path, table, wrong, "the study's identifier is empty or no study id",
            "give a StudyInstanceUID",
        )  # fmt: skip


def _check_once(path: Path, table: pd.DataFrame, ids: NDArray[np.str_]) -> None:
    again = np.ones(len(ids), np.bool_)
    again[np.unique(ids, return_index=True)[1]] = False
    if bool(again.any()):
        raise _fault(path, table, again, "the study comes a second time", "keep one row")


def _fault(
    path: Path, table: pd.DataFrame, wrong: NDArray[np.bool_], problem: str, remedy: str
) -> PredictionsError:
    """Name the first wrong line and the number of others; no cell is quoted."""
    lines = table.index.to_numpy()[wrong]
    more = f" (and {len(lines) - 1} more lines)" if len(lines) > 1 else ""
    return PredictionsError(f"{path.name}, line {lines[0]}: {problem}{more}; {remedy}.")

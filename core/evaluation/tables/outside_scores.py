"""Imported models: vertebra and patient scores from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.csv_table import RAGGED, numbers, read_table
from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.score_table import ScoreTable, table_without_slices
from core.inference.aggregation import patient_scores

_OVERALL: Final = "patient_overall"
_ID_NAMES: Final = ("uid", "StudyInstanceUID", "study_id")
_OVERALL_NAMES: Final = ("Overall", _OVERALL)
_ROW_ID: Final = r"^(.+)_(patient_overall|C[1-7])$"
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

    "wide": `uid` (or `StudyInstanceUID`), `Overall` (or `patient_overall`), `C1`..`C7`, one row per
    study. "competition": `row_id` (`<uid>_<type>`, type `patient_overall` or `C1`..`C7`) and
    `fractured`, eight rows per study.

    Args:
        path: CSV file, UTF-8 with or without a byte-order mark.
        name: Name of the model; the file's name without its ending if None.

    Raises:
        PredictionsError: The file cannot be read or has neither layout; a score is missing, not a
            number or outside [0, 1]; a study comes twice or lacks a row. The line is named.
    """
    heading = _heading(path)
    model = name or path.stem
    if {"row_id", "fractured"} <= set(heading):
        table = _read(path, ("row_id", "fractured"))
        return _from_competition(path, model, table)
    identifier = next((column for column in _ID_NAMES if column in heading), None)
    overall = next((column for column in _OVERALL_NAMES if column in heading), None)
    missing = [column for column in VERTEBRAE if column not in heading]
    if identifier is None or overall is None or missing:
        lacking = "uid" if identifier is None else "Overall" if overall is None else missing[0]
        raise PredictionsError(
            f"{path.name}, line 1: no column {lacking}; give the columns uid, Overall, C1..C7, or "
            "row_id, fractured."
        )
    table = _read(path, (identifier, overall, *VERTEBRAE))
    return _from_wide(path, model, table, identifier, overall)


def _from_wide(
    path: Path, name: str, table: pd.DataFrame, identifier: str, overall: str
) -> OutsideScores:
    columns = [overall, *VERTEBRAE]
    scores = np.column_stack([_probabilities(path, table, column) for column in columns])
    ids = np.array(table[identifier].astype(str).to_list(), np.str_)
    _check_ids(path, table, ids)
    return _outside(name, ids, scores)


def _from_competition(path: Path, name: str, table: pd.DataFrame) -> OutsideScores:
    values = _probabilities(path, table, "fractured")
    parts = table["row_id"].astype(str).str.extract(_ROW_ID)
    wrong = parts[1].isna().to_numpy(np.bool_)
    if bool(wrong.any()):
        raise _fault(
            path, table, wrong, "row_id is not <uid>_<type>",
            "let the type be patient_overall or C1..C7",
        )  # fmt: skip
    twice = parts.duplicated().to_numpy(np.bool_)
    if bool(twice.any()):
        raise _fault(path, table, twice, "row_id comes a second time", "keep one")
    wide = (
        parts.assign(score=values)
        .pivot_table(index=0, columns=1, values="score", aggfunc="first")
        .reindex(columns=[_OVERALL, *VERTEBRAE])
    )
    gaps = wide.isna()
    if bool(gaps.to_numpy().any()):
        study = str(wide.index[int(np.argmax(gaps.any(axis=1)))])
        kind = str(wide.columns[int(np.argmax(gaps.loc[study]))])
        raise PredictionsError(
            f"{path.name}: study {study} has no row of type {kind}; give eight rows per study."
        )
    ids = np.array(wide.index.to_list(), np.str_)
    return _outside(name, ids, wide.to_numpy(np.float64))


def _outside(name: str, ids: NDArray[np.str_], scores: NDArray[np.float64]) -> OutsideScores:
    """Gather scores (n, 8), the patient's first."""
    table = table_without_slices(name, ids, scores[:, 1:].copy(), scores[:, 0].copy())
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
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return [cell.strip() for cell in next(csv.reader(stream), [])]
    except FileNotFoundError as error:
        raise PredictionsError(f"{path} does not exist; check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _not_csv(path) from error


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """The columns as text and numbers of row lengths, by line."""
    try:
        table = read_table(path, columns)
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
    values = numbers(table, [column])[column]
    wrong = ~values.between(0.0, 1.0).to_numpy(np.bool_)
    if bool(wrong.any()):
        raise _fault(path, table, wrong, f"{column} is not a number between 0 and 1", "correct it")
    return values.to_numpy(np.float64)


def _check_ids(path: Path, table: pd.DataFrame, ids: NDArray[np.str_]) -> None:
    empty = ids == ""
    if bool(empty.any()):
        raise _fault(path, table, empty, "the study's identifier is empty", "fill it in")
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


def _not_csv(path: Path) -> PredictionsError:
    return PredictionsError(f"{path.name} cannot be read as CSV text; save it as UTF-8.")

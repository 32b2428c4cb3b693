"""Models from elsewhere: their vertebra and patient scores as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.evaluation.score_table import ScoreTable

OutsideFormat = Literal["wide", "competition"]


@dataclass(frozen=True, slots=True, eq=False)
class OutsideScores:
    """An imported model and what was noticed on the way.

    Attributes:
        table: Without slices.
        format: Which of the two layouts it was.
        notes: Sentences for the reader, such as a patient score that is not that of the vertebrae.
    """

    table: ScoreTable
    format: OutsideFormat
    notes: tuple[str, ...]


def read_outside_scores(path: Path, name: str | None = None) -> OutsideScores:
    """Read a CSV of a model from elsewhere; the layout is told by its heading.

    "wide": `uid` (or `StudyInstanceUID`), `Overall` (or `patient_overall`), `C1`..`C7`, one row a
    study. "competition": `row_id` (`<uid>_<type>`, type `patient_overall` or `C1`..`C7`) and
    `fractured`, eight rows a study.

    Args:
        path: UTF-8, with or without a byte-order mark.
        name: Of the model; the file's name without its ending if None.

    Raises:
        PredictionsError: The file cannot be read or is neither layout; a score is missing, no
            number or outside [0, 1]; a study comes twice or lacks a row. Lines are named.
    """
    raise NotImplementedError

"""Reading score and truth tables at full size: 711,601 slices in well under a second each."""

from __future__ import annotations

from pathlib import Path

from core.evaluation.score_table import ScoreTable
from core.evaluation.truth_table import TruthTable
from core.inference.aggregation import Pooling


def read_score_table(
    path: Path, name: str | None = None, *, pooling: Pooling = "mean"
) -> ScoreTable:
    """Read slice outputs of one model and aggregate them.

    Args:
        path: A Parquet file in the schema of `slices.parquet`, or a folder that `predict` wrote.
        name: Of the model; what the file says, or its folder's name, if None.
        pooling: How p_j is pooled over slices.

    Raises:
        PredictionsError: The file is missing or broken, lacks a column, or a column holds NaN,
            text, numbers out of range or slices that are not 0..n-1.
    """
    raise NotImplementedError


def read_truth_table(path: Path, slices: Path | None = None) -> TruthTable:
    """Read the truth of a cohort.

    Args:
        path: A Parquet file with study_id, y_C1..y_C7 and patient_overall, a `train.csv`, a folder
            with `truth.parquet`, or a data root.
        slices: Parquet with study_id, slice_index, present_C1..present_C7 and, where known, boxed.
            If None, `<stem>_slices.parquet` or `present.parquet` beside a Parquet truth, if there.

    Raises:
        DataRootError: As `core.evaluation.truth.read_truth` describes.
    """
    raise NotImplementedError

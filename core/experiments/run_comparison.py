"""Two runs on the patients that both held out: differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.dataset.rsna import LABELS_FILE
from core.errors import PredictionsError
from core.evaluation.comparison import PairComparison, compare_models
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import ScoreTable
from core.experiments.cohorts import PREDICTIONS_FOLDER
from core.inference.outputs import find_slices
from core.types import LevelName

LEVELS: Final[tuple[LevelName, ...]] = ("patient", "vertebra")
"""Levels whose truth needs no mask to be read."""
METRICS: Final = ("auc", "average_precision", "brier")
"""Metrics that need no threshold."""
_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs that detect fractures, compared on the same patients.

    Attributes:
        studies: Number of studies that both held out.
        pairs: Differences "first minus second" by level.
    """

    studies: int
    pairs: Mapping[LevelName, PairComparison]


def compare_runs(first: Path, second: Path, data_root: Path) -> RunComparison:
    """Compare the predictions of two runs, on draws of patients that both share.

    Args:
        first: Folder of a run that has predicted its held-out patients.
        second: Another.
        data_root: Data root of the first, which has the labels.

    Raises:
        PredictionsError: A run has no predictions, or they held out different patients.
        DataRootError: The labels cannot be read.
    """
    tables = [_scores(folder, name) for folder, name in ((first, "first"), (second, "second"))]
    shared = align(tables, read_truth_table(data_root / LABELS_FILE))
    thresholds = {table.name: _THRESHOLD for table in tables}
    pairs: dict[LevelName, PairComparison] = {
        level: compare_models(shared, level, thresholds, metrics=METRICS).pairs[0]
        for level in LEVELS
    }
    return RunComparison(shared.truth.n_studies, pairs)


def _scores(folder: Path, name: str) -> ScoreTable:
    file = find_slices(folder / PREDICTIONS_FOLDER)
    if file is None:
        raise PredictionsError(f"{folder} has no predictions yet; predict its held-out patients.")
    return read_score_table(file, name)

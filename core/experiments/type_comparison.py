"""Comparison of the shipped networks on the same studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.experiments.arm_comparison import ArmFigure, ArmScores, compare_arms, write_figures
from core.experiments.cohorts import SHIPPED
from core.types import LevelName

TYPES_FILE: Final = "types.json"
REPLICATES: Final = 1000
_FRACTURE: Final = (
    "fracture_type1", "fracture_type2", "fracture_type3", "localization_mobilenet_v3_large",
)  # fmt: skip
_PRESENCE: Final = ("vertebra_type1", "vertebra_type2", "fracture_type3")
_LEVELS: Final[tuple[tuple[LevelName, tuple[str, ...]], ...]] = (
    ("presence", _PRESENCE),
    ("slice", _FRACTURE),
    ("vertebra", _FRACTURE),
    ("patient", _FRACTURE),
)
"""The first bundle of each level is the baseline."""

Comparison = Mapping[str, Mapping[LevelName, Mapping[str, ArmFigure]]]


def compare_types(checkpoints: Path, *, replicates: int = REPLICATES) -> Comparison:
    """AUC of every shipped network at its levels, compared with Type 1, paired over patients.

    Args:
        checkpoints: Folder of the bundles, with their predictions and the cohorts' truth.
        replicates: Bootstrap replicates over patients.

    Returns:
        Figures by cohort ("held_out", "out_of_fold"), level and bundle.

    Raises:
        PredictionsError: A table is missing or damaged.
    """
    found: dict[str, dict[LevelName, Mapping[str, ArmFigure]]] = {}
    for cohort in SHIPPED:
        truth = read_truth_table(cohort.truth_file(checkpoints))
        tables = {
            name: read_score_table(cohort.predictions_file(checkpoints / name), name)
            for name in dict.fromkeys((*_PRESENCE, *_FRACTURE))
        }
        found[cohort.table] = {}
        for level, names in _LEVELS:
            scores: list[ArmScores] = []
            for name in names:
                items = align([tables[name]], truth).items(name, level)
                scores.append(ArmScores(name, items.scores, items.truth, items.patients))
            found[cohort.table][level] = compare_arms(scores, names[0], replicates=replicates)
    return found


def write_types(checkpoints: Path) -> Path:
    """Write the comparison next to the bundles.

    Returns:
        The file.

    Raises:
        PredictionsError: A table is missing or damaged.
        StorageError: The file cannot be written.
    """
    results = {
        cohort: {
            level: {name: asdict(figure) for name, figure in figures.items()}
            for level, figures in levels.items()
        }
        for cohort, levels in compare_types(checkpoints).items()
    }
    return write_figures(checkpoints, TYPES_FILE, results)

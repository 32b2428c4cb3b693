"""Scores of an experiment's arms on the held-out cohort, over patients and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from core.evaluation.arrays import frozen, offsets_of
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_truth_table
from core.evaluation.tables.score_table import table_from_predictions
from core.evaluation.tables.truth_table import TruthTable
from core.experiments.arm_comparison import ArmFigure, ArmScores, compare_arms
from core.experiments.cohorts import HELD_OUT
from core.experiments.subsampled_predictions import subsampled_slices
from core.inference.outputs import read_slices
from core.models.bundles import BundleInfo
from core.types import LevelName

SUBSAMPLED_FILE: Final = "held_out.parquet"
LEVELS: Final[tuple[LevelName, ...]] = ("presence", "slice", "vertebra", "patient")
REPLICATES: Final = 1000


@dataclass(frozen=True, slots=True)
class TrainedArm:
    """One finished run of an experiment.

    Attributes:
        arm: Name of the arm.
        seed: Seed of the run.
        bundle: Bundle of the run.
        predictions: File of the predictions of the held-out cohort.
    """

    arm: str
    seed: int
    bundle: BundleInfo
    predictions: Path


@dataclass(frozen=True, slots=True)
class ArmResult:
    """Measurements of one arm.

    Attributes:
        arm: Name of the arm.
        parameters: Number of weights of its network.
        steps: Batches trained, by seed; fewer with early stopping.
        slices: Slices trained, counted each time they are seen, by seed.
        figures: AUC by level; without presence if the network gives none.
    """

    arm: str
    parameters: int
    steps: tuple[int, ...]
    slices: tuple[int, ...]
    figures: Mapping[str, ArmFigure]


def measure_arms(
    trained: Sequence[TrainedArm], baseline: str, checkpoints: Path
) -> dict[str, ArmResult]:
    """Measure every arm at every level, and its difference from the baseline.

    Args:
        trained: All runs; each arm has the same seeds.
        baseline: Name of the arm that the others are compared with.
        checkpoints: Folder with the held-out cohort's truth.

    Returns:
        Results by arm, in the order of the runs.
    """
    truth = _subsampled_truth(checkpoints)
    figures: dict[str, Mapping[str, ArmFigure]] = {}
    for level in LEVELS:
        scores: list[ArmScores] = []
        for run in trained:
            if level == "presence" and not run.bundle.config.gives_presence:
                continue
            table = table_from_predictions(run.arm, read_slices(run.predictions))
            items = align([table], truth).items(run.arm, level)
            scores.append(ArmScores(run.arm, items.scores, items.truth, items.patients))
        if scores:
            figures[level] = compare_arms(scores, baseline, replicates=REPLICATES)
    arms = list(dict.fromkeys(run.arm for run in trained))
    return {
        arm: ArmResult(
            arm=arm,
            parameters=next(r.bundle.config.parameters for r in trained if r.arm == arm),
            steps=tuple(_trained_on(r, "steps") for r in trained if r.arm == arm),
            slices=tuple(
                _trained_on(r, "steps") * int(r.bundle.config.trained_on["run"]["batch_size"])
                for r in trained
                if r.arm == arm
            ),
            figures={level: found[arm] for level, found in figures.items()},
        )
        for arm in arms
    }


def _trained_on(run: TrainedArm, name: str) -> int:
    return int(run.bundle.config.trained_on[name])


def _subsampled_truth(checkpoints: Path) -> TruthTable:
    whole = read_truth_table(HELD_OUT.truth_file(checkpoints))
    places = [subsampled_slices(n) for n in np.diff(whole.offsets).tolist()]
    rows = np.concatenate(
        [start + own for start, own in zip(whole.offsets[:-1], places, strict=True)]
    )
    return replace(
        whole,
        offsets=frozen(offsets_of(np.array([len(own) for own in places]))),
        presence=frozen(whole.presence[rows]),
        boxed=None,
    )

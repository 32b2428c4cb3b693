"""What the arms of an experiment are worth on the held-out cohort, over patients and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.constants import SYNTHETIC_WARNING
from core.evaluation.arrays import frozen, offsets_of
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_truth_table
from core.evaluation.tables.score_table import table_from_predictions
from core.evaluation.tables.truth_table import TruthTable
from core.experiments.arm_comparison import ArmFigure, ArmScores, compare_arms
from core.experiments.cohorts import HELD_OUT
from core.experiments.subsampled_predictions import SLICES_PER_STUDY, thin_places
from core.inference.outputs import read_slices
from core.models.bundles import EXPERIMENTS_FOLDER, BundleInfo
from core.system.atomic_files import write_json
from core.types import LevelName

THIN_FILE: Final = "held_out.parquet"
LEVELS: Final[tuple[LevelName, ...]] = ("presence", "slice", "vertebra", "patient")
REPLICATES: Final = 1000


@dataclass(frozen=True, slots=True)
class Trained:
    """One finished run of an experiment.

    Attributes:
        arm: Its name.
        seed: Its seed.
        bundle: Its network.
        predictions: File of its predictions of the held-out cohort.
    """

    arm: str
    seed: int
    bundle: BundleInfo
    predictions: Path


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm, measured.

    Attributes:
        arm: Its name.
        parameters: Weights of its network.
        steps: Batches learnt from, by seed; fewer where it stopped early.
        slices: Slices learnt from, counted as often as they were seen, by seed.
        figures: AUC by level; presence is missing where the network gives none.
    """

    arm: str
    parameters: int
    steps: tuple[int, ...]
    slices: tuple[int, ...]
    figures: Mapping[str, ArmFigure]


def measure_arms(
    trained: Sequence[Trained], baseline: str, checkpoints: Path
) -> dict[str, ArmResult]:
    """Measure every arm at every level, and its difference to the baseline.

    Args:
        trained: All runs; each arm has the same seeds.
        baseline: Name of the arm that the others are set beside.
        checkpoints: Where the held-out cohort's truth lies.

    Returns:
        By arm, in the order of the runs.
    """
    truth = _thin_truth(checkpoints)
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
            steps=tuple(_learnt(r, "steps") for r in trained if r.arm == arm),
            slices=tuple(
                _learnt(r, "steps") * int(r.bundle.config.trained_on["run"]["batch_size"])
                for r in trained
                if r.arm == arm
            ),
            figures={level: found[arm] for level, found in figures.items()},
        )
        for arm in arms
    }


def _learnt(run: Trained, name: str) -> int:
    return int(run.bundle.config.trained_on[name])


def write_result(
    name: str, about: Mapping[str, Any], result: Mapping[str, ArmResult], checkpoints: Path
) -> Path:
    """Write an experiment's figures beside the bundles.

    Returns:
        The file.
    """
    file = checkpoints / EXPERIMENTS_FOLDER / f"{name}.json"
    write_json(
        file,
        {
            "synthetic": True,
            "warning": SYNTHETIC_WARNING,
            **about,
            "slices_per_study": SLICES_PER_STUDY,
            "results": {arm: asdict(found) for arm, found in result.items()},
        },
    )
    return file


def _thin_truth(checkpoints: Path) -> TruthTable:
    whole = read_truth_table(HELD_OUT.truth_file(checkpoints))
    places = [thin_places(n) for n in np.diff(whole.offsets).tolist()]
    rows = np.concatenate(
        [start + own for start, own in zip(whole.offsets[:-1], places, strict=True)]
    )
    return replace(
        whole,
        offsets=frozen(offsets_of(np.array([len(own) for own in places]))),
        presence=frozen(whole.presence[rows]),
        boxed=None,
    )

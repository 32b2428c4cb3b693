"""What the arms of an experiment are worth on the held-out cohort, over patients and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from core.atomic import write_json
from core.config import Settings
from core.constants import N_VERTEBRAE, SYNTHETIC_WARNING, VERTEBRAE
from core.data.cache import StudySlices, load_study_slices
from core.data.datasets import SliceDataset
from core.data.rsna import read_studies
from core.evaluation.arms import ArmFigure, ArmScores, compare_arms
from core.evaluation.evaluation_set import align
from core.evaluation.levels import LevelName
from core.evaluation.score_table import table_from_predictions
from core.evaluation.truth import StudyTruth
from core.evaluation.truth_table import truth_table
from core.inference.outputs import read_slices, write_slices
from core.models.bundles import COHORTS_FOLDER, EXPERIMENTS_FOLDER, BundleInfo, read_bundle
from core.models.fast_model import load_fast_model
from core.models.pairs import DEFAULT_NAMES
from core.types import SlicePredictions

THIN_FILE: Final = "held_out.parquet"
SLICES_PER_STUDY: Final = 24
"""Of some 85: enough for every level, and a quarter of the time."""
LEVELS: Final[tuple[LevelName, ...]] = ("presence", "slice", "vertebra", "patient")
REPLICATES: Final = 1000
_HELD_OUT: Final = "held_out"
Progress = Callable[[int, int], None]


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


def predict_thinly(
    bundle: BundleInfo,
    root: Path,
    file: Path,
    settings: Settings,
    progress: Progress | None = None,
) -> None:
    """Run a network over evenly spaced slices of a cohort and write what it says.

    A network without presences of its own is given those of the shipped vertebra network.

    Args:
        bundle: A fracture network of any type.
        root: Data root of the cohort.
        file: Replaced atomically; as `write_slices` writes it, slice_index being the place among
            the chosen slices.
        settings: Where the slice store and the shipped vertebra network lie.
        progress: Called with (studies done, studies in all).
    """
    shipped: dict[str, SlicePredictions] = {}
    if not bundle.config.gives_presence:
        shipped = _shipped_presence(settings.checkpoints)
    model = load_fast_model(bundle, "cpu")
    records = read_studies(root)
    found: list[SlicePredictions] = []
    for number, record in enumerate(records):
        config = bundle.config
        study = load_study_slices(
            record, window=config.window, crop=config.crop, size=config.size,
            cache_dir=settings.rsna_cache, channels=config.channels, noise=config.noise,
            field_mm=config.field_mm,
        )  # fmt: skip
        chosen = thin_places(study.n_slices)
        seen = shipped.get(record.study_id)
        presence = None if seen is None else seen.vertebra_probs[chosen]
        found.append(_predict(model, bundle, study, chosen, presence))
        if progress is not None:
            progress(number + 1, len(records))
    write_slices(file, found)


def thin_places(n_slices: int) -> NDArray[np.int64]:
    """The slices of a study that take part: all, or `SLICES_PER_STUDY` evenly spaced ones."""
    if n_slices <= SLICES_PER_STUDY:
        return np.arange(n_slices)
    return np.arange(SLICES_PER_STUDY) * n_slices // SLICES_PER_STUDY


def _predict(
    model: torch.nn.Module, bundle: BundleInfo, study: StudySlices, chosen: NDArray[np.int64],
    presence: NDArray[np.float32] | None,
) -> SlicePredictions:  # fmt: skip
    batch = SliceDataset([study], "vertebra").batch(chosen)
    given = None if presence is None else torch.from_numpy(presence)
    with torch.inference_mode():
        out = torch.sigmoid(model(batch.images, batch.metadata, given).float()).numpy()
    fracture = out[:, :N_VERTEBRAE] if out.shape[1] > 1 else np.repeat(out, N_VERTEBRAE, axis=1)
    return SlicePredictions(
        study_id=study.study_id,
        z_mm=study.z_mm[chosen],
        vertebra_probs=out[:, -N_VERTEBRAE:] if presence is None else presence,
        fracture_probs=fracture,
        fracture_type=bundle.config.type,
        models=(bundle.config.name,),
    )


def _shipped_presence(checkpoints: Path) -> dict[str, SlicePredictions]:
    vertebra = read_bundle(checkpoints / DEFAULT_NAMES["vertebra"])
    studies = read_slices(vertebra.folder / "predictions" / f"{_HELD_OUT}.parquet")
    return {study.study_id: study for study in studies}


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
    truth = truth_table(_thin_truth(checkpoints))
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


def _thin_truth(checkpoints: Path) -> list[StudyTruth]:
    folder = checkpoints / COHORTS_FOLDER
    studies = pd.read_parquet(folder / f"{_HELD_OUT}.parquet").set_index("study_id")
    slices = pd.read_parquet(folder / f"{_HELD_OUT}_slices.parquet")
    fractured = studies[[f"y_{name}" for name in VERTEBRAE]].astype(bool)
    truth: list[StudyTruth] = []
    for study_id, rows in slices.groupby("study_id", observed=True):
        present = rows.sort_values("slice_index")[[f"present_{name}" for name in VERTEBRAE]]
        truth.append(
            StudyTruth(
                study_id=str(study_id),
                fractured=fractured.loc[str(study_id)].to_numpy(bool),
                presence=present.to_numpy(bool)[thin_places(len(rows))],
            )
        )
    return truth

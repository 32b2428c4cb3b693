"""Comparison of ways of training: AUC over patients and over repeated runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.constants import SYNTHETIC_WARNING
from core.errors import PredictionsError
from core.evaluation.curves import threshold_counts
from core.evaluation.intervals import percentiles
from core.evaluation.resampling import auc_samples, resampled
from core.models.bundles import EXPERIMENTS_FOLDER
from core.system.atomic_files import write_json
from core.types import FloatArray

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class ArmScores:
    """Scored items of one run of an arm.

    Attributes:
        arm: Name of the arm, shared by its runs.
        scores: float64 (n,).
        truth: bool (n,).
        patients: (n,) any identifier.
    """

    arm: str
    scores: NDArray[np.float64]
    truth: NDArray[np.bool_]
    patients: NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ArmFigure:
    """Mean AUC of an arm over its runs, compared with the baseline.

    Attributes:
        auc: Mean over runs.
        low: Lower end of the 95 % interval over patients, with fixed runs.
        high: Upper end.
        runs: AUC of each run.
        difference: Mean AUC minus the baseline's; 0 for the baseline.
        difference_low: Lower end of its paired interval over patients.
        difference_high: Upper end.
        run_sd: Standard deviation over runs (n - 1); None for one run.
    """

    auc: float
    low: float | None
    high: float | None
    runs: tuple[float, ...]
    difference: float
    difference_low: float | None
    difference_high: float | None
    run_sd: float | None


def compare_arms(
    runs: Sequence[ArmScores], baseline: str, *, replicates: int = 1000, seed: int = 0
) -> Mapping[str, ArmFigure]:
    """Average each arm over its runs and compare it with the baseline on the same patients.

    A replicate draws patients with replacement and takes the mean AUC of an arm's runs; the
    difference of two arms is taken within the replicate. Intervals are percentiles over
    replicates: they cover the uncertainty over patients; the spread over runs is reported
    separately.

    Args:
        runs: All runs of all arms, on the same patients.
        baseline: Name of an arm.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap.

    Returns:
        Figures by arm, in the order of the runs.

    Raises:
        PredictionsError: The baseline has no run, an AUC is undefined, or runs are of different
            patients.
    """
    patients = {tuple(np.unique(run.patients).tolist()) for run in runs}
    if len(patients) > 1:
        raise PredictionsError("The runs scored different patients; predict the same studies.")
    samples: dict[str, list[FloatArray]] = {}
    values: dict[str, list[float]] = {}
    for run in runs:
        auc = threshold_counts(run.scores, run.truth).auc()
        if auc is None:
            raise PredictionsError(f"{run.arm} was measured on items of one class; add studies.")
        drawn = resampled(run.scores, run.truth, run.patients, replicates=replicates, seed=seed)
        samples.setdefault(run.arm, []).append(auc_samples(drawn))
        values.setdefault(run.arm, []).append(auc)
    if baseline not in values:
        raise PredictionsError(f"The baseline {baseline!r} has no run; choose another arm.")
    means = {arm: np.mean(drawn, axis=0) for arm, drawn in samples.items()}
    base_value, base_drawn = float(np.mean(values[baseline])), means[baseline]
    return {
        arm: _figure(values[arm], means[arm], base_value, means[arm] - base_drawn) for arm in values
    }


def write_figures(
    checkpoints: Path, name: str, results: Mapping[str, Any], about: Mapping[str, Any] | None = None
) -> Path:
    """Write the figures of a comparison next to the bundles, and what it is about.

    Returns:
        The file.

    Raises:
        StorageError: The file cannot be written.
    """
    file = checkpoints / EXPERIMENTS_FOLDER / name
    marked = {"synthetic": True, "warning": SYNTHETIC_WARNING, **(about or {})}
    write_json(file, marked | {"results": results})
    return file


def _figure(
    values: Sequence[float], drawn: FloatArray, baseline: float, differences: FloatArray
) -> ArmFigure:
    own = percentiles(drawn, CONFIDENCE)
    gap = percentiles(differences, CONFIDENCE)
    mean = float(np.mean(values))
    return ArmFigure(
        auc=mean,
        low=None if own is None else own.low,
        high=None if own is None else own.high,
        runs=tuple(values),
        difference=mean - baseline,
        difference_low=None if gap is None else gap.low,
        difference_high=None if gap is None else gap.high,
        run_sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
    )

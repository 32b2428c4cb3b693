"""Effect of the pooling over slices on vertebra and patient scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.evaluation.curves import threshold_counts
from core.evaluation.intervals import Interval, bootstrap_intervals
from core.evaluation.tables.evaluation_set import EvaluationSet
from core.inference.aggregation import POOLINGS, Pooling
from core.types import LevelName


@dataclass(frozen=True, slots=True)
class PoolingEffect:
    """One model under one pooling.

    Attributes:
        model: Name of the model.
        pooling: Pooling over slices for p_j.
        vertebra_auc: p_j against y_j, C1..C7 pooled; None where a class is missing.
        vertebra_interval: 95 %, patients resampled; None like `vertebra_auc`.
        patient_auc: p against max_j y_j; None where a class is missing.
        patient_interval: 95 %, patients resampled.
    """

    model: str
    pooling: Pooling
    vertebra_auc: float | None
    vertebra_interval: Interval | None
    patient_auc: float | None
    patient_interval: Interval | None


def pooling_effects(
    evaluated: EvaluationSet, *, replicates: int = 1000, seed: int = 0
) -> list[PoolingEffect]:
    """Every model that has slices under every pooling, on the same draws of patients."""
    effects: list[PoolingEffect] = []
    for model in evaluated.models:
        if model.presence is None:
            continue
        for pooling in POOLINGS:
            pooled = replace(evaluated, models=(model.with_pooling(pooling),))
            vertebra, vertebra_interval = _area(pooled, model.name, "vertebra", replicates, seed)
            patient, patient_interval = _area(pooled, model.name, "patient", replicates, seed)
            effects.append(
                PoolingEffect(
                    model.name, pooling, vertebra, vertebra_interval, patient, patient_interval
                )
            )
    return effects


def _area(
    evaluated: EvaluationSet, name: str, level: LevelName, replicates: int, seed: int
) -> tuple[float | None, Interval | None]:
    items = evaluated.items(name, level)
    intervals = bootstrap_intervals(
        items.scores, items.truth, items.patients,
        threshold=0.5, replicates=replicates, seed=seed, metrics=("auc",),
    )  # fmt: skip
    return threshold_counts(items.scores, items.truth).auc(), intervals["auc"]

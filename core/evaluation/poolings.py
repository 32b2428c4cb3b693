"""What the pooling over slices does to vertebra and patient scores."""

from __future__ import annotations

from dataclasses import dataclass

from core.evaluation.evaluation_set import EvaluationSet
from core.evaluation.intervals import Interval
from core.inference.aggregation import Pooling


@dataclass(frozen=True, slots=True)
class PoolingEffect:
    """One model under one pooling.

    Attributes:
        model: Its name.
        pooling: Over slices, for p_j.
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
    raise NotImplementedError

"""Which model is better, and is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.evaluation.delong import DelongTest
from core.evaluation.evaluation_set import EvaluationSet, SliceTruth
from core.evaluation.levels import LevelName
from core.evaluation.mcnemar import McnemarTest

COMPARED_METRICS: Final = (
    "auc", "average_precision", "accuracy", "precision", "recall", "specificity", "f1",
    "balanced_accuracy", "mcc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A metric of two models on the same patients.

    Attributes:
        value: First minus second on the whole set; None where the metric is undefined.
        low: Lower end of the paired bootstrap's percentile interval; None like `value`.
        high: Upper end.
        p_value: Two-sided, by the bootstrap.
        adjusted_p: Holm's, over all pairs and metrics compared at once.
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    adjusted_p: float | None


@dataclass(frozen=True, slots=True)
class PairComparison:
    """Two models at one level.

    Attributes:
        first: Name.
        second: Name.
        differences: By metric of `COMPARED_METRICS`.
        delong: AUC test; None where undefined.
        delong_adjusted_p: Holm's over the pairs.
        mcnemar: Right against wrong calls at each model's threshold.
        mcnemar_adjusted_p: Holm's over the pairs.
    """

    first: str
    second: str
    differences: Mapping[str, PairedDifference]
    delong: DelongTest | None
    delong_adjusted_p: float | None
    mcnemar: McnemarTest
    mcnemar_adjusted_p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair of models at one level.

    Attributes:
        level: The level.
        pairs: Each pair once, in the order of the models.
        best: By metric the model that is significantly better than every other (Holm-adjusted
            p < alpha); None where none is.
        alpha: Level of significance.
    """

    level: LevelName
    pairs: tuple[PairComparison, ...]
    best: Mapping[str, str | None]
    alpha: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm, 1979), in the order given.

    Raises:
        PredictionsError: A value leaves [0, 1] or is NaN.
    """
    raise NotImplementedError


def compare_models(
    evaluated: EvaluationSet,
    level: LevelName,
    thresholds: Mapping[str, float],
    *,
    definition: SliceTruth = "vertebra visible",
    vertebra: int | None = None,
    replicates: int = 1000,
    seed: int = 0,
    alpha: float = 0.05,
) -> Comparison:
    """Compare every pair of models that has the level, on the same draws of patients.

    Args:
        evaluated: Models and truth.
        level: The level.
        thresholds: By model name; a score >= threshold is a call.
        definition: Of slice truth.
        vertebra: 0..6 for one vertebra.
        replicates: Bootstrap replicates over patients.
        seed: Of the bootstrap.
        alpha: Level of significance.

    Raises:
        PredictionsError: A threshold is missing or NaN.
    """
    raise NotImplementedError

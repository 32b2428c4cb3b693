"""Operating points: a threshold together with the rule that chose it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import PredictionsError
from core.evaluation.curves import ThresholdCounts, threshold_counts

ThresholdRule = Literal["highest F1", "highest Youden index", "given", "default"]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and how it was found; a score >= threshold is a call.

    Attributes:
        threshold: One of the scores, or the value given.
        rule: What chose it.
        value: What the rule reached there; None where the threshold was given.
    """

    threshold: float
    rule: ThresholdRule
    value: float | None = None


def highest_f1(scores: ArrayLike, truth: ArrayLike) -> OperatingPoint:
    """Find the score at which F1 is highest; among equals the highest score, so fewest calls.

    Raises:
        PredictionsError: No item is positive, or as `threshold_counts` describes.
    """
    counts = threshold_counts(scores, truth)
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive, so F1 has no maximum; give a threshold.")
    called = counts.true_positives + counts.false_positives
    return _best(counts, 2 * counts.true_positives / (called + counts.n_positive), "highest F1")


def highest_youden(scores: ArrayLike, truth: ArrayLike) -> OperatingPoint:
    """Find the score at which sensitivity + specificity - 1 is highest (Youden, 1950).

    Among equals the highest score is taken, so fewest calls.

    Raises:
        PredictionsError: A class is missing, or as `threshold_counts` describes.
    """
    counts = threshold_counts(scores, truth)
    if counts.n_positive == 0 or counts.n_negative == 0:
        raise PredictionsError("Youden's index needs both classes; give a threshold.")
    # Whole numbers until one last division: equal indices stay equal, so ties are found exactly.
    gained = counts.true_positives * counts.n_negative - counts.false_positives * counts.n_positive
    return _best(counts, gained / (counts.n_positive * counts.n_negative), "highest Youden index")


def _best(
    counts: ThresholdCounts, values: NDArray[np.float64], rule: ThresholdRule
) -> OperatingPoint:
    best = int(np.argmax(values))
    return OperatingPoint(float(counts.thresholds[best]), rule, float(values[best]))

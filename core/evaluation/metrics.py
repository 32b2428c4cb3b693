"""Metrics of one binary question: at a threshold, and over all thresholds."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from core.evaluation.calibration import reliability
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.curves import checked_scores, threshold_counts


@dataclass(frozen=True, slots=True)
class BinaryMetrics:
    """Everything measured for one binary question.

    Attributes:
        counts: Confusion counts and the ratios made of them.
        auc: Area under the ROC curve; None where only one class occurs.
        average_precision: sum_k (R_k - R_k-1) P_k over falling thresholds; None like `auc`.
        undefined: Why `auc` and `average_precision` are None; None where they are not.
        brier: Mean squared error; None where a score leaves [0, 1].
        expected_calibration_error: Over fifteen bins of equal width; None like `brier`.
    """

    counts: ConfusionCounts
    auc: float | None
    average_precision: float | None
    undefined: str | None = None
    brier: float | None = None
    expected_calibration_error: float | None = None


def binary_metrics(scores: ArrayLike, truth: ArrayLike, threshold: float) -> BinaryMetrics:
    """Measure scores (n,) against truth (n,) of 0/1.

    Raises:
        PredictionsError: Scores or truth are empty, do not match, are not finite or not 0/1,
            or the threshold is NaN.
    """
    values, labels = checked_scores(scores, truth)
    curve = threshold_counts(values, labels)
    counts = curve.at(threshold)
    undefined = None
    if curve.one_class:
        present = "positive" if counts.n_positive else "negative"
        undefined = f"all {counts.n} items are {present}; AUC and AP need both classes"
    calibration = None
    if values.min() >= 0 and values.max() <= 1:
        calibration = reliability(values, labels)
    return BinaryMetrics(
        counts=counts,
        auc=curve.auc(),
        average_precision=curve.average_precision(),
        undefined=undefined,
        brier=None if calibration is None else calibration.brier,
        expected_calibration_error=None if calibration is None else calibration.expected_error,
    )

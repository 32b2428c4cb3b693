"""Metrics of one binary question: at a threshold, and over all thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from core.errors import PredictionsError
from core.evaluation.curves import checked_scores, threshold_counts


@dataclass(frozen=True, slots=True)
class ConfusionCounts:
    """Calls against truth; a score >= threshold is a call.

    A ratio whose denominator is 0 is 0: precision without a call, recall without a positive,
    specificity without a negative, F1 without either. Balanced accuracy averages over the classes
    that occur.
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def n(self) -> int:
        """All items."""
        return self.n_positive + self.n_negative

    @property
    def n_positive(self) -> int:
        """Items whose truth is positive."""
        return self.true_positives + self.false_negatives

    @property
    def n_negative(self) -> int:
        """Items whose truth is negative."""
        return self.true_negatives + self.false_positives

    @property
    def accuracy(self) -> float:
        """Share of right calls."""
        return _ratio(self.true_positives + self.true_negatives, self.n)

    @property
    def precision(self) -> float:
        """Share of calls that are right; 0 without a call."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Sensitivity: share of positives that are called; 0 without a positive."""
        return _ratio(self.true_positives, self.n_positive)

    @property
    def specificity(self) -> float:
        """Share of negatives that are not called; 0 without a negative."""
        return _ratio(self.true_negatives, self.n_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a call and a positive."""
        called = self.true_positives + self.false_positives
        return _ratio(2 * self.true_positives, called + self.n_positive)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of recall and specificity over the classes that occur."""
        rates = []
        if self.n_positive:
            rates.append(self.recall)
        if self.n_negative:
            rates.append(self.specificity)
        return sum(rates) / len(rates) if rates else 0.0


@dataclass(frozen=True, slots=True)
class BinaryMetrics:
    """Everything measured for one binary question.

    Attributes:
        threshold: A score >= threshold is a call.
        counts: Confusion counts and the ratios made of them.
        auc: Area under the ROC curve; None where only one class occurs.
        average_precision: sum_k (R_k - R_k-1) P_k over falling thresholds; None like `auc`.
        undefined: Why `auc` and `average_precision` are None; None where they are not.
    """

    threshold: float
    counts: ConfusionCounts
    auc: float | None
    average_precision: float | None
    undefined: str | None = None


def binary_metrics(scores: ArrayLike, truth: ArrayLike, threshold: float) -> BinaryMetrics:
    """Measure scores (n,) against truth (n,) of 0/1.

    Raises:
        PredictionsError: Scores or truth are empty, do not pair up, are not finite or not 0/1,
            or the threshold is NaN.
    """
    counts = confusion_counts(scores, truth, threshold)
    if counts.n_positive and counts.n_negative:
        return BinaryMetrics(
            threshold=float(threshold),
            counts=counts,
            auc=roc_auc(scores, truth),
            average_precision=average_precision(scores, truth),
        )
    present = "positive" if counts.n_positive else "negative"
    return BinaryMetrics(
        threshold=float(threshold),
        counts=counts,
        auc=None,
        average_precision=None,
        undefined=f"all {counts.n} items are {present}; AUC and AP need both classes",
    )


def confusion_counts(scores: ArrayLike, truth: ArrayLike, threshold: float) -> ConfusionCounts:
    """Count calls (score >= threshold) against truth.

    Raises:
        PredictionsError: As `binary_metrics` describes.
    """
    values, labels = checked_scores(scores, truth)
    if np.isnan(threshold):
        raise PredictionsError("The threshold is NaN; give a number.")
    called = values >= threshold
    true_positives = int((called & labels).sum())
    n_called, n_positive = int(called.sum()), int(labels.sum())
    return ConfusionCounts(
        true_positives=true_positives,
        false_positives=n_called - true_positives,
        true_negatives=len(labels) - n_called - n_positive + true_positives,
        false_negatives=n_positive - true_positives,
    )


def roc_auc(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """Area under the ROC curve by midranks, ties counting half; None where one class is missing.

    Hanley and McNeil, 1982: the area is the Mann-Whitney statistic.

    Raises:
        PredictionsError: As `checked_scores` describes.
    """
    values, labels = checked_scores(scores, truth)
    n_positive = int(labels.sum())
    n_negative = len(labels) - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    rank_sum = float(rankdata(values)[labels].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float | None:
    """sum_k (R_k - R_k-1) P_k over falling distinct scores; None where one class is missing.

    Raises:
        PredictionsError: As `checked_scores` describes.
    """
    counts = threshold_counts(scores, truth)
    if counts.n_positive == 0 or counts.n_negative == 0:
        return None
    called = counts.true_positives + counts.false_positives
    gained = np.diff(counts.true_positives, prepend=0)
    return float((gained * (counts.true_positives / called)).sum() / counts.n_positive)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0

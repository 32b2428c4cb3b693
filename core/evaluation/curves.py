"""Counts at every threshold, from one sort of the scores."""

from __future__ import annotations

import bisect
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import PredictionsError
from core.evaluation.confusion import ConfusionCounts
from core.types import FloatArray

_PACKED_BELOW: Final = 2.0
"""The bits of a float64 in [0, 2) rise with its value, and the uppermost two are 0."""


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCounts:
    """True and false positives when every score >= threshold is a call, for both curves.

    Attributes:
        thresholds: float64 (k,), the distinct scores, falling.
        true_positives: int64 (k,).
        false_positives: int64 (k,).
        n_positive: Items whose truth is positive.
        n_negative: Items whose truth is negative.
    """

    thresholds: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    n_positive: int
    n_negative: int

    @property
    def n(self) -> int:
        """All items."""
        return self.n_positive + self.n_negative

    @property
    def one_class(self) -> bool:
        """Whether a class is missing, so that no curve is defined."""
        return self.n_positive == 0 or self.n_negative == 0

    def at(self, threshold: float) -> ConfusionCounts:
        """Confusion counts when every score >= `threshold` is a call, in O(log k).

        Raises:
            PredictionsError: The threshold is NaN.
        """
        if threshold != threshold:
            raise PredictionsError("The threshold is NaN; give a number.")
        falling = cast(Sequence[float], self.thresholds)
        place = bisect.bisect_right(falling, -threshold, key=operator.neg) - 1
        found = int(self.true_positives[place]) if place >= 0 else 0
        wrong = int(self.false_positives[place]) if place >= 0 else 0
        return ConfusionCounts(found, wrong, self.n_negative - wrong, self.n_positive - found)

    def at_each(self, thresholds: FloatArray) -> ThresholdCounts:
        """The counts of `at` for several thresholds.

        Args:
            thresholds: float64 (g,), falling.
        """
        places = np.searchsorted(-self.thresholds, -thresholds, side="right")
        return ThresholdCounts(
            thresholds,
            np.concatenate([[0], self.true_positives])[places],
            np.concatenate([[0], self.false_positives])[places],
            self.n_positive,
            self.n_negative,
        )

    def recall(self) -> FloatArray:
        """Sensitivity, the ROC curve's ordinate, at every threshold, (k,); 0 without a positive."""
        return self.true_positives / max(self.n_positive, 1)

    def false_positive_rate(self) -> FloatArray:
        """1 - specificity, the ROC curve's abscissa, (k,); 0 without a negative."""
        return self.false_positives / max(self.n_negative, 1)

    def precision(self) -> FloatArray:
        """Precision at every threshold, (k,); 1 by convention where nothing is called."""
        called = self.true_positives + self.false_positives
        return np.divide(self.true_positives, called, out=np.ones(len(called)), where=called > 0)

    def f1(self) -> FloatArray:
        """F1 at every threshold, (k,)."""
        called = self.true_positives + self.false_positives
        return 2 * self.true_positives / (called + self.n_positive)

    def auc(self) -> float | None:
        """Area under the ROC curve, ties counting half; None where one class is missing.

        Hanley and McNeil, 1982: the area is the Mann-Whitney statistic. Integer arithmetic until
        the last division.
        """
        if self.one_class:
            return None
        gained = np.diff(self.false_positives, prepend=0)
        twice_area = np.dot(
            gained, 2 * self.true_positives - np.diff(self.true_positives, prepend=0)
        )
        return float(int(twice_area) / (2 * self.n_positive * self.n_negative))

    def sorted_scores(self) -> SortedScores:
        """The scores of each class, which count calls in a third of the memory."""
        found = np.diff(self.true_positives, prepend=0)
        wrong = np.diff(self.false_positives, prepend=0)
        return SortedScores(
            np.repeat(self.thresholds, found)[::-1], np.repeat(self.thresholds, wrong)[::-1]
        )

    def average_precision(self) -> float | None:
        """sum_k (R_k - R_k-1) P_k over falling thresholds; None where one class is missing."""
        if self.one_class:
            return None
        gained = np.diff(self.true_positives, prepend=0)
        return float((gained * self.precision()).sum() / self.n_positive)


@dataclass(frozen=True, slots=True, eq=False)
class SortedScores:
    """Rising scores of both classes, from which calls at a threshold are counted.

    Attributes:
        positives: float64 (p,), rising.
        negatives: float64 (n,), rising.
    """

    positives: FloatArray
    negatives: FloatArray

    def at(self, threshold: float) -> ConfusionCounts:
        """Confusion counts when every score >= `threshold` is a call, in O(log n).

        Raises:
            PredictionsError: The threshold is NaN.
        """
        if threshold != threshold:
            raise PredictionsError("The threshold is NaN; give a number.")
        missed = int(np.searchsorted(self.positives, threshold))
        left = int(np.searchsorted(self.negatives, threshold))
        return ConfusionCounts(
            len(self.positives) - missed, len(self.negatives) - left, left, missed
        )

    def at_each(self, thresholds: FloatArray) -> ThresholdCounts:
        """The counts of `at` for several thresholds.

        Args:
            thresholds: float64 (g,), falling.
        """
        n_positive, n_negative = len(self.positives), len(self.negatives)
        return ThresholdCounts(
            thresholds,
            n_positive - np.searchsorted(self.positives, thresholds),
            n_negative - np.searchsorted(self.negatives, thresholds),
            n_positive,
            n_negative,
        )


def threshold_counts(scores: ArrayLike, truth: ArrayLike) -> ThresholdCounts:
    """Count calls at every distinct score; tied scores are called together.

    Args:
        scores: (n,) finite scores, higher is more likely positive.
        truth: (n,) booleans or 0/1.

    Raises:
        PredictionsError: As `checked_scores` describes.
    """
    values, labels = checked_scores(scores, truth)
    values, labels = _falling(values, labels)
    last_of_its_score = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=last_of_its_score[:-1])
    ends = np.flatnonzero(last_of_its_score)
    positives = np.cumsum(labels, dtype=np.int64)[ends]
    n_positive = int(positives[-1])
    negatives = ends - positives
    negatives += 1
    return ThresholdCounts(
        thresholds=values[ends],
        true_positives=positives,
        false_positives=negatives,
        n_positive=n_positive,
        n_negative=len(labels) - n_positive,
    )


def curve_points(counts: ThresholdCounts, at_most: int = 512) -> ThresholdCounts:
    """Thin both curves to about `at_most` points, spread over recall, false positives and calls.

    Every point lies on the curve, so the values shown on hover are exact; both ends are kept. The
    first point is "nothing is called", with an infinite threshold.
    """
    k = len(counts.thresholds)
    places = np.arange(k)
    if k > at_most:
        share = at_most // 4
        called = counts.true_positives + counts.false_positives
        axes = (counts.true_positives, counts.false_positives, called, np.log(called))
        wanted = [np.searchsorted(axis, np.linspace(axis[0], axis[-1], share)) for axis in axes]
        places = np.unique(np.clip(np.concatenate([*wanted, [0, k - 1]]), 0, k - 1))
    return replace(
        counts,
        thresholds=np.concatenate([[np.inf], counts.thresholds[places]]),
        true_positives=np.concatenate([[0], counts.true_positives[places]]),
        false_positives=np.concatenate([[0], counts.false_positives[places]]),
    )


def checked_scores(
    scores: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores as float64 (n,) and truth as bool (n,).

    Raises:
        PredictionsError: They are empty, differ in length, are not one-dimensional, a score is
            not finite or a truth value is neither 0 nor 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(truth)
    if values.ndim != 1 or labels.ndim != 1 or len(values) != len(labels):
        raise PredictionsError(
            f"Scores of shape {values.shape} and truth of shape {labels.shape} do not match; "
            "give one truth value for each score."
        )
    if len(values) == 0:
        raise PredictionsError("There is no score to evaluate; give at least one study.")
    if not bool(np.isfinite(values).all()):
        raise PredictionsError("A score is NaN or infinite; predict the studies again.")
    if labels.dtype != np.bool_ and not bool(np.isin(labels, (0, 1)).all()):
        raise PredictionsError("A truth value is neither 0 nor 1; correct the truth table.")
    return values, labels.astype(np.bool_, copy=False)


def _falling(values: FloatArray, labels: NDArray[np.bool_]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Sort both by falling value.

    Probabilities are sorted as integers with the label in their lowest bit, which needs neither
    an index nor a gather; float32 outputs of a network fit into half the bits.
    """
    if values.min() < 0 or values.max() >= _PACKED_BELOW:
        order = np.argsort(-values, kind="stable")
        return values[order], labels[order]
    single = values.astype(np.float32)
    if np.array_equal(single, values):
        falling, labels = _packed_sort(single, np.uint32, labels)
        return falling.astype(np.float64), labels
    # A copy, because the sort is in place.
    return _packed_sort(values.copy(), np.uint64, labels)


def _packed_sort(
    values: NDArray[Any], bits: type[np.uint32] | type[np.uint64], labels: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Sort values in [0, 2) and their labels by falling value; `values` is overwritten."""
    # Adding 0 turns -0.0, whose sign bit is set, into 0.0.
    values += 0
    keys: NDArray[Any] = values.view(bits)
    keys <<= 1
    keys |= labels
    keys.sort()
    keys = keys[::-1]
    ordered = keys.astype(np.uint8)
    ordered &= 1
    keys >>= 1
    return keys.view(values.dtype), ordered.view(np.bool_)

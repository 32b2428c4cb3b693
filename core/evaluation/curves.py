"""Counts at every threshold, from one sort of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import PredictionsError


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdCounts:
    """True and false positives when every score >= threshold is a call.

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


def threshold_counts(scores: ArrayLike, truth: ArrayLike) -> ThresholdCounts:
    """Count calls at every distinct score; tied scores are called together.

    Args:
        scores: (n,) finite scores, higher is more likely positive.
        truth: (n,) booleans or 0/1.

    Raises:
        PredictionsError: As `checked_scores` describes.
    """
    values, labels = checked_scores(scores, truth)
    order = np.argsort(-values, kind="stable")
    values, labels = values[order], labels[order]
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    positives = np.cumsum(labels, dtype=np.int64)[ends]
    n_positive = int(labels.sum())
    return ThresholdCounts(
        thresholds=values[ends],
        true_positives=positives,
        false_positives=ends + 1 - positives,
        n_positive=n_positive,
        n_negative=len(labels) - n_positive,
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
            f"Scores of shape {values.shape} and truth of shape {labels.shape} do not pair up; "
            "give one truth value for each score."
        )
    if len(values) == 0:
        raise PredictionsError("There is no score to evaluate; give at least one study.")
    if not bool(np.isfinite(values).all()):
        raise PredictionsError("A score is NaN or infinite; predict the studies again.")
    if labels.dtype != np.bool_ and not bool(np.isin(labels, (0, 1)).all()):
        raise PredictionsError("A truth value is neither 0 nor 1; mend the truth table.")
    return values, labels.astype(np.bool_)

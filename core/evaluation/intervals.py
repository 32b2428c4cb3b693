"""Percentile intervals from a bootstrap that resamples patients, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from core.errors import PredictionsError
from core.evaluation.curves import checked_scores

FloatArray = NDArray[np.float64]
REPLICATES_AT_ONCE = 100
"""Bounds the memory of the ranking metrics: (distinct positive scores x this) numbers."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        replicates: Replicates it stands on: those that drew both classes.
    """

    low: float
    high: float
    replicates: int


def bootstrap_intervals(
    scores: ArrayLike,
    truth: ArrayLike,
    patients: ArrayLike,
    *,
    threshold: float,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval | None]:
    """Intervals for the metrics of `BinaryMetrics`, patients resampled with replacement.

    The threshold stays as given in every replicate. Replicates that drew one class only are left
    out for every metric. Efron and Tibshirani, 1993, percentile interval of clustered data.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) any identifier; items that share one are drawn together.
        threshold: A score >= threshold is a call.
        replicates: Number of resamples, >= 1.
        seed: Seed of the resampling.
        confidence: Share of replicates inside the interval.

    Returns:
        An interval per metric name; None where fewer than two patients or no usable replicate.

    Raises:
        PredictionsError: As `checked_scores` describes, `patients` has another length, or
            `replicates` is below 1.
    """
    values, labels = checked_scores(scores, truth)
    identifiers = np.asarray(patients)
    if identifiers.shape != values.shape:
        raise PredictionsError(
            f"{len(values)} scores come with patients of shape {identifiers.shape}; "
            "give one patient for each score."
        )
    if replicates < 1:
        raise PredictionsError(f"{replicates} replicates give no interval; ask for 1 or more.")
    _, groups = np.unique(identifiers, return_inverse=True)
    n_patients = int(groups.max()) + 1
    draws = resample_patients(n_patients, replicates, seed).astype(np.float64)
    samples = _threshold_metrics(values >= threshold, labels, groups, draws)
    samples |= _ranking_metrics(values, labels, groups, draws)
    usable = np.isfinite(samples["auc"])
    return {
        name: _percentiles(sample[usable], confidence) if n_patients > 1 else None
        for name, sample in samples.items()
    }


def resample_patients(n_patients: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """How often each patient is drawn, int64 (replicates, n_patients), rows summing to n."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_patients, np.full(n_patients, 1.0 / n_patients), size=replicates)


def _percentiles(sample: FloatArray, confidence: float) -> Interval | None:
    if len(sample) == 0:
        return None
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(sample, [tail, 1.0 - tail])
    return Interval(float(low), float(high), len(sample))


def _threshold_metrics(
    called: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    groups: NDArray[np.intp],
    draws: FloatArray,
) -> dict[str, FloatArray]:
    """Metrics at the threshold, float64 (replicates,): sums of each patient's own counts."""
    n_patients = draws.shape[1]

    def drawn(chosen: NDArray[np.bool_]) -> FloatArray:
        return draws @ np.bincount(groups[chosen], minlength=n_patients)

    true_positives, false_positives = drawn(called & labels), drawn(called & ~labels)
    positives, negatives = drawn(labels), drawn(~labels)
    recall = _ratio(true_positives, positives)
    specificity = _ratio(negatives - false_positives, negatives)
    all_items = positives + negatives
    return {
        "accuracy": _ratio(true_positives + negatives - false_positives, all_items),
        "precision": _ratio(true_positives, true_positives + false_positives),
        "recall": recall,
        "specificity": specificity,
        "f1": _ratio(2 * true_positives, true_positives + false_positives + positives),
        "balanced_accuracy": (recall + specificity) / 2,
    }


def _ranking_metrics(
    values: FloatArray,
    labels: NDArray[np.bool_],
    groups: NDArray[np.intp],
    draws: FloatArray,
) -> dict[str, FloatArray]:
    """AUC and average precision, float64 (replicates,); NaN where a class was not drawn.

    Only scores that some positive has can move either curve, so negatives are counted per patient
    and band: above, tied with or below each of the K distinct positive scores. A replicate then
    costs one sparse product instead of a sort.
    """
    n_replicates, n_patients = draws.shape
    if not labels.any() or labels.all():
        missing = np.full(n_replicates, np.nan)
        return {"auc": missing, "average_precision": missing.copy()}
    levels = -np.unique(values[labels])[::-1]
    n_levels = len(levels)
    positive_level = np.searchsorted(levels, -values[labels])
    above = np.searchsorted(levels, -values[~labels], side="left")
    tied = np.searchsorted(levels, -values[~labels], side="right") - above
    positives = _patient_counts(positive_level, groups[labels], (n_levels, n_patients))
    negatives = _patient_counts(2 * above + tied, groups[~labels], (2 * n_levels + 1, n_patients))
    chunks = [
        _ranking_chunk(positives @ chunk.T, negatives @ chunk.T)
        for chunk in np.split(draws, range(REPLICATES_AT_ONCE, n_replicates, REPLICATES_AT_ONCE))
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _patient_counts(
    rows: NDArray[np.intp], groups: NDArray[np.intp], shape: tuple[int, int]
) -> csr_array:
    """Items per row and patient, sparse float64 `shape`."""
    return csr_array((np.ones(len(rows)), (rows, groups)), shape=shape)


def _ranking_chunk(positives: FloatArray, negatives: FloatArray) -> Mapping[str, FloatArray]:
    """AUC and average precision of some replicates.

    Args:
        positives: float64 (K, replicates), positives drawn at each distinct positive score,
            falling.
        negatives: float64 (2K + 1, replicates), negatives between those scores (even rows) and
            tied with them (odd rows).
    """
    n_positive, n_negative = positives.sum(axis=0), negatives.sum(axis=0)
    at_or_above = np.cumsum(negatives, axis=0)[1::2]
    beaten = n_negative - at_or_above + negatives[1::2] / 2
    found = np.cumsum(positives, axis=0)
    precision = _ratio(found, found + at_or_above)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (positives * beaten).sum(axis=0) / (n_positive * n_negative)
        average_precision = (positives * precision).sum(axis=0) / n_positive
    return {"auc": auc, "average_precision": average_precision}


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)

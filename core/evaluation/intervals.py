"""Percentile intervals from a bootstrap that resamples patients with all their items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from core.evaluation.resampling import (
    THRESHOLD_METRICS,
    Resampled,
    auc_samples,
    average_precision_samples,
    calibration_samples,
    resampled,
    threshold_samples,
)
from core.types import FloatArray

CALIBRATION_METRICS: Final = ("brier", "expected_calibration_error")
RESAMPLED_METRICS: Final = (
    *THRESHOLD_METRICS, "auc", "average_precision", *CALIBRATION_METRICS,
)  # fmt: skip
"""Every metric that has a bootstrap interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        replicates: Number of replicates used: those that drew both classes.
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
    metrics: Collection[str] = RESAMPLED_METRICS,
) -> dict[str, Interval | None]:
    """95 % intervals for the metrics of `BinaryMetrics`, patients resampled with replacement.

    The threshold stays as given in every replicate. Replicates that drew one class only are left
    out for every metric. Efron and Tibshirani, 1993, percentile interval of clustered data.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) any identifier; items of one patient are drawn together.
        threshold: A score >= threshold is a call.
        replicates: Number of resamples, >= 1.
        seed: Seed of the resampling.
        metrics: Some of `RESAMPLED_METRICS`; average precision takes the longest at full size.

    Returns:
        An interval per metric name; None where there are fewer than two patients or no usable
        replicate, or where a metric needs probabilities and the scores are not.

    Raises:
        PredictionsError: As `resampled` describes.
    """
    sample = resampled(scores, truth, patients, replicates=replicates, seed=seed)
    usable = sample.usable()
    found = metric_samples(sample, threshold, metrics)
    enough = sample.n_patients > 1
    return {
        name: percentiles(found[name][usable]) if enough and name in found else None
        for name in metrics
    }


def metric_samples(
    sample: Resampled, threshold: float, metrics: Collection[str] = RESAMPLED_METRICS
) -> dict[str, FloatArray]:
    """Replicates (replicates,) of the metrics asked for, by name.

    Brier score and calibration error are absent where a score is outside [0, 1].
    """
    found = threshold_samples(sample, threshold)
    if "auc" in metrics:
        found["auc"] = auc_samples(sample)
    if "average_precision" in metrics:
        found["average_precision"] = average_precision_samples(sample)
    probable = sample.values.min() >= 0 and sample.values.max() <= 1
    if probable and not set(CALIBRATION_METRICS).isdisjoint(metrics):
        found |= calibration_samples(sample)
    return {name: values for name, values in found.items() if name in metrics}


def percentiles(sample: FloatArray, confidence: float = 0.95) -> Interval | None:
    """The middle `confidence` of replicates (r,), NaN left out; None where none is left."""
    defined = sample[np.isfinite(sample)]
    if len(defined) == 0:
        return None
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(float(low), float(high), len(defined))

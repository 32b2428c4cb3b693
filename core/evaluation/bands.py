"""Bands around ROC and precision-recall curves, from patients drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.curves import curve_points, threshold_counts
from core.evaluation.resampling import Resampled, resampled
from core.evaluation.tables.evaluation_set import LevelItems
from core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CurveBand:
    """Pointwise 95 % percentile bands over a grid.

    Attributes:
        grid: float64 (g,), 0..1: false-positive rate of the ROC band, recall of the other.
        roc: float64 (2, g), lower and upper sensitivity.
        precision: float64 (2, g), the same at the first threshold that reaches the recall.
    """

    grid: FloatArray
    roc: FloatArray
    precision: FloatArray


def curve_bands(
    items: LevelItems,
    *,
    replicates: int = 1000,
    seed: int = 0,
    points: int = 101,
) -> CurveBand | None:
    """Bands of both curves; None where a class is missing or there are fewer than two patients.

    Each replicate weights patients by how often they were drawn. Its curve is computed at up to
    512 thresholds of the whole set's curve and interpolated linearly between them.
    """
    if items.truth.all() or not items.truth.any():
        return None
    sample = resampled(items.scores, items.truth, items.patients, replicates=replicates, seed=seed)
    usable = sample.usable()
    if sample.n_patients < 2 or not usable.any():
        return None
    thresholds = curve_points(threshold_counts(items.scores, items.truth)).thresholds[1:]
    found, wrong = (
        _called(sample, chosen, thresholds)[usable] for chosen in (sample.labels, ~sample.labels)
    )
    grid = np.linspace(0.0, 1.0, points)
    roc = np.empty((len(found), points))
    precision = np.empty((len(found), points))
    for r, (true_positives, false_positives) in enumerate(zip(found, wrong, strict=True)):
        recall = np.append(0.0, true_positives / true_positives[-1])
        alarms = np.append(0.0, false_positives / false_positives[-1])
        roc[r] = np.interp(grid, alarms, recall)
        precision[r] = _precision_at(grid, recall, true_positives, false_positives)
    ends = [0.025, 0.975]
    return CurveBand(grid, np.quantile(roc, ends, axis=0), np.quantile(precision, ends, axis=0))


def _called(sample: Resampled, chosen: NDArray[np.bool_], thresholds: FloatArray) -> FloatArray:
    """Items of `chosen` (n,) at or above each falling threshold (k,), float64 (replicates, k)."""
    k = len(thresholds)
    places = np.searchsorted(-thresholds, -sample.values[chosen], side="left")
    cells = sample.groups[chosen] * (k + 1) + places
    table = np.bincount(cells, minlength=sample.n_patients * (k + 1))
    per_patient = table.reshape(sample.n_patients, k + 1)[:, :k].cumsum(axis=1)
    return sample.draws @ per_patient


def _precision_at(
    grid: FloatArray,
    recall: FloatArray,
    true_positives: FloatArray,
    false_positives: FloatArray,
) -> FloatArray:
    """Precision at the first threshold that reaches each recall of the grid."""
    place = np.clip(np.searchsorted(recall[1:], grid, side="left"), 0, len(true_positives) - 1)
    called = np.maximum(true_positives + false_positives, 1.0)
    # A recall of 0 stands for the first call that finds a fracture.
    place = np.maximum(place, int(np.argmax(true_positives > 0)))
    return (true_positives / called)[place]

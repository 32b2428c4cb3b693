"""Patients drawn with replacement, and metrics of many replicates at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from core.errors import PredictionsError
from core.evaluation.arrays import frozen
from core.evaluation.calibration import BINS, bin_places, equal_edges
from core.evaluation.curves import checked_scores
from core.types import FloatArray

THRESHOLD_METRICS: Final = (
    "accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "mcc",
    "negative_predictive_value",
)  # fmt: skip
_LEVELS_AT_ONCE: Final = 64
"""Rows of a table of counts that stays in the processor's cache."""
_NUMBERS_AT_ONCE: Final = 4_000_000
"""Bounds the memory of intermediate tables: 32 MB of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Items of patients, and how often each replicate drew each patient.

    Attributes:
        values: float64 (n,), scores.
        labels: bool (n,), truth.
        groups: int64 (n,), index of each item's patient.
        draws: float64 (replicates, patients), rows summing to the number of patients.
    """

    values: FloatArray
    labels: NDArray[np.bool_]
    groups: NDArray[np.intp]
    draws: FloatArray

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return self.draws.shape[1]

    def drawn(self, chosen: NDArray[np.bool_]) -> FloatArray:
        """Items of `chosen` (n,) in each replicate, (replicates,)."""
        return self.draws @ np.bincount(self.groups[chosen], minlength=self.n_patients)

    def usable(self) -> NDArray[np.bool_]:
        """Replicates that drew both classes, bool (replicates,)."""
        return (self.drawn(self.labels) > 0) & (self.drawn(~self.labels) > 0)


def resampled(
    scores: ArrayLike, truth: ArrayLike, patients: ArrayLike, *, replicates: int, seed: int
) -> Resampled:
    """Draw patients with all their items.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) any identifier; items of one patient are drawn together.
        replicates: Number of resamples, >= 1.
        seed: Seed; sets with the same number of patients get the same draws.

    Raises:
        PredictionsError: As `checked_scores` describes, `patients` has another length, or
            `replicates` is below 1.
    """
    values, labels = checked_scores(scores, truth)
    groups = patient_places(patients, len(values))
    if replicates < 1:
        raise PredictionsError(f"{replicates} replicates give no interval; ask for 1 or more.")
    draws = _draws(int(groups.max()) + 1, replicates, seed)
    return Resampled(values, labels, groups, draws)


def resample_patients(n_patients: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """How often each patient is drawn, int64 (replicates, n_patients), rows summing to n."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_patients, np.full(n_patients, 1.0 / n_patients), size=replicates)


def threshold_samples(sample: Resampled, threshold: float) -> dict[str, FloatArray]:
    """`THRESHOLD_METRICS` of each replicate, (replicates,): sums of each patient's own counts."""
    called = sample.values >= threshold
    found, wrong = sample.drawn(called & sample.labels), sample.drawn(called & ~sample.labels)
    positives, negatives = sample.drawn(sample.labels), sample.drawn(~sample.labels)
    spared, missed = negatives - wrong, positives - found
    recall, specificity = ratio(found, positives), ratio(spared, negatives)
    spread = np.sqrt((found + wrong) * positives * negatives * (spared + missed))
    return {
        "accuracy": ratio(found + spared, positives + negatives),
        "precision": ratio(found, found + wrong),
        "recall": recall,
        "specificity": specificity,
        "f1": ratio(2 * found, found + wrong + positives),
        "balanced_accuracy": (recall + specificity) / 2,
        "mcc": ratio(found * spared - wrong * missed, spread),
        "negative_predictive_value": ratio(spared, spared + missed),
    }


def auc_samples(sample: Resampled) -> FloatArray:
    """AUC of each replicate, (replicates,); NaN where a class was not drawn.

    Entry (a, b) of the pair-count matrix C is the number of pairs of a positive of patient a and
    a negative of patient b in order, ties counting half. A replicate that drew patients w times
    has the area w' C w / (w' n+ w' n-): one matrix product for all replicates, no sorts.
    """
    positives = np.bincount(sample.groups[sample.labels], minlength=sample.n_patients)
    negatives = np.bincount(sample.groups[~sample.labels], minlength=sample.n_patients)
    pairs = (sample.draws @ positives) * (sample.draws @ negatives)
    matrix, rows, columns = pair_counts(sample.values, sample.labels, sample.groups)
    in_order = np.einsum(
        "ra,ra->r", sample.draws[:, rows] @ matrix, sample.draws[:, columns], optimize=False
    )
    return np.divide(in_order, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def pair_counts(
    values: FloatArray, labels: NDArray[np.bool_], groups: NDArray[np.intp]
) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of a positive and a negative in order, ties counting half, patient by patient.

    Returns:
        float64 (a, b); the patients of the rows (a,), those with a positive; the patients of the
        columns (b,), those with a negative.
    """
    rows, row_of = np.unique(groups[labels], return_inverse=True)
    columns, column_of = np.unique(groups[~labels], return_inverse=True)
    matrix = np.zeros((len(rows), len(columns)))
    if not len(rows) or not len(columns):
        return matrix, rows, columns
    levels, level_of = np.unique(values[labels], return_inverse=True)
    order = np.argsort(level_of, kind="stable")
    level_of, row_of = level_of[order], row_of[order]
    # A negative counts from the first level above it, and one half less at a level it ties with.
    first_above = np.searchsorted(levels, values[~labels], side="right")
    tied_with = np.searchsorted(levels, values[~labels], side="left")
    tied = np.flatnonzero(first_above > tied_with)
    order = np.argsort(tied_with, kind="stable")
    begins, column_of_order = tied_with[order], column_of[order]
    so_far = np.zeros(len(columns))
    for first in range(0, len(levels), _LEVELS_AT_ONCE):
        last = min(first + _LEVELS_AT_ONCE, len(levels))
        start, end = np.searchsorted(begins, [first, last])
        cells = (begins[start:end] - first) * len(columns) + column_of_order[start:end]
        counted = np.bincount(cells, minlength=(last - first) * len(columns))
        beaten = counted.reshape(last - first, len(columns)).astype(np.float64)
        beaten[0] += so_far
        np.cumsum(beaten, axis=0, out=beaten)
        so_far = beaten[-1].copy()
        start, end = np.searchsorted(level_of, [first, last])
        for row, level in zip(row_of[start:end], level_of[start:end] - first, strict=True):
            matrix[row] += beaten[level]
    if len(tied):
        shape = (len(rows), len(levels))
        at_level = csr_array((np.ones(len(row_of)), (row_of, level_of)), shape=shape)
        owners = (tied_with[tied], column_of[tied])
        ties: Any = csr_array((np.ones(len(tied)), owners), shape=(len(levels), len(columns)))
        matrix -= (at_level @ ties).toarray() / 2
    return matrix, rows, columns


def average_precision_samples(sample: Resampled) -> FloatArray:
    """Average precision of each replicate, (replicates,); NaN where a class was not drawn.

    It changes only at scores of positives, so negatives are counted per patient between the K
    distinct positive scores. A replicate then costs one sparse product, no sort.
    """
    labels, groups, draws = sample.labels, sample.groups, sample.draws
    if not labels.any() or labels.all():
        return np.full(len(draws), np.nan)
    levels = -np.unique(sample.values[labels])[::-1]
    shape = (len(levels), sample.n_patients)
    level_of = np.searchsorted(levels, -sample.values[labels])
    positives = _patient_counts(level_of, groups[labels], shape)
    band = np.searchsorted(levels, -sample.values[~labels], side="left")
    called = band < len(levels)
    negatives = _patient_counts(band[called], groups[~labels][called], shape)
    at_once = max(1, _NUMBERS_AT_ONCE // len(levels))
    chunks = np.split(draws, range(at_once, len(draws), at_once))
    found = [_average_precision(positives @ chunk.T, negatives @ chunk.T) for chunk in chunks]
    area = np.concatenate(found)
    area[~sample.usable()] = np.nan
    return area


def calibration_samples(sample: Resampled, bins: int = BINS) -> dict[str, FloatArray]:
    """Brier score and expected calibration error of each replicate, (replicates,)."""
    n_patients = sample.n_patients
    squares = np.bincount(sample.groups, (sample.values - sample.labels) ** 2, minlength=n_patients)
    items = sample.draws @ np.bincount(sample.groups, minlength=n_patients)
    places = bin_places(sample.values, equal_edges(bins))
    cells = sample.groups * bins + places
    gaps = np.bincount(cells, sample.labels - sample.values, minlength=n_patients * bins)
    weighted = np.abs(sample.draws @ gaps.reshape(n_patients, bins)).sum(axis=1)
    return {
        "brier": ratio(sample.draws @ squares, items),
        "expected_calibration_error": ratio(weighted, items),
    }


def patient_places(patients: ArrayLike | None, n: int) -> NDArray[np.intp]:
    """Index of each item's patient among the distinct patients, (n,); None is one per item.

    Raises:
        PredictionsError: `patients` is not (n,).
    """
    if patients is None:
        return np.arange(n)
    identifiers = np.asarray(patients)
    if identifiers.shape != (n,):
        raise PredictionsError(
            f"{n} scores come with patients of shape {identifiers.shape}; "
            "give one patient for each score."
        )
    if identifiers.dtype.kind in "iu":
        numbers = identifiers.astype(np.int64)
        if int(numbers.min()) >= 0 and int(numbers.max()) <= 4 * n:
            used = np.bincount(numbers) > 0
            return (np.cumsum(used) - 1)[numbers]
    return np.unique(identifiers, return_inverse=True)[1]


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


@lru_cache(maxsize=4)
def _draws(n_patients: int, replicates: int, seed: int) -> FloatArray:
    return frozen(resample_patients(n_patients, replicates, seed).astype(np.float64))


def _patient_counts(
    rows: NDArray[np.intp], groups: NDArray[np.intp], shape: tuple[int, int]
) -> csr_array:
    """Items per row and patient, sparse float64 `shape`; equal places are summed."""
    return csr_array((np.ones(len(rows)), (rows, groups)), shape=shape)


def _average_precision(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    """Average precision of some replicates.

    Args:
        positives: float64 (K, replicates), positives drawn at each distinct positive score,
            falling.
        negatives: float64 (K, replicates), negatives from the score above to this one.
    """
    found = np.cumsum(positives, axis=0)
    called = np.cumsum(negatives, axis=0)
    called += found
    total = found[-1].copy()
    precision = np.divide(found, called, out=found, where=called > 0)
    precision *= positives
    return ratio(precision.sum(axis=0), total)

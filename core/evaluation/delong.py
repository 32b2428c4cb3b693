"""DeLong's interval of an AUC and test of two AUCs, for patients with several items each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from core.evaluation.curves import checked_scores
from core.evaluation.resampling import patient_places
from core.types import FloatArray

_NOTHING: Final = 1e-9
"""A standard error below this is rounding error."""


@dataclass(frozen=True, slots=True)
class DelongInterval:
    """An AUC with its normal interval, cut to [0, 1].

    Attributes:
        auc: The area.
        standard_error: Standard error of the area.
        low: Lower end.
        high: Upper end.
    """

    auc: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DelongTest:
    """Two models on the same items.

    Attributes:
        first_auc: First auc of the first model.
        second_auc: Second auc of the second model.
        difference: First minus second.
        standard_error: Standard error of the difference.
        low: Lower end of the difference's interval.
        high: Upper end.
        z: Difference over standard error; 0 where both are 0.
        p_value: Two-sided.
    """

    first_auc: float
    second_auc: float
    difference: float
    standard_error: float
    low: float
    high: float
    z: float
    p_value: float


def delong_interval(
    scores: ArrayLike,
    truth: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> DelongInterval | None:
    """Interval of the AUC (DeLong et al., 1988); items of one patient are not independent.

    With one item per patient this is DeLong's variance; with several it is Obuchowski's (1997)
    for clustered data, which adds the covariance of items of one patient. Midranks as in Sun and
    Xu, 2014.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) patient of each item; None makes every item a separate patient.
        confidence: Confidence level of the interval.

    Returns:
        None where a class has fewer than two patients.

    Raises:
        PredictionsError: As `checked_scores` describes, or `patients` has another length.
    """
    values, labels = checked_scores(scores, truth)
    parts = _components(values[None], labels, patient_places(patients, len(values)))
    if parts is None:
        return None
    area, error = float(parts.areas[0]), math.sqrt(float(parts.covariance[0, 0]))
    half = _quantile(confidence) * error
    return DelongInterval(area, error, max(area - half, 0.0), min(area + half, 1.0))


def delong_test(
    first: ArrayLike,
    second: ArrayLike,
    truth: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> DelongTest | None:
    """Test whether two models' AUCs on the same items differ; see `delong_interval`."""
    one, labels = checked_scores(first, truth)
    other, _ = checked_scores(second, truth)
    parts = _components(np.stack([one, other]), labels, patient_places(patients, len(one)))
    if parts is None:
        return None
    contrast = np.array([1.0, -1.0])
    difference = float(parts.areas @ contrast)
    # Rounding may leave a variance below 0 for two equal models.
    error = math.sqrt(max(float(contrast @ parts.covariance @ contrast), 0.0))
    if error < _NOTHING:
        error = 0.0
    half = _quantile(confidence) * error
    z = _z(difference, error)
    return DelongTest(
        first_auc=float(parts.areas[0]),
        second_auc=float(parts.areas[1]),
        difference=difference,
        standard_error=error,
        low=max(difference - half, -1.0),
        high=min(difference + half, 1.0),
        z=z,
        p_value=float(2 * norm.sf(abs(z))),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Components:
    """Areas (m,) of m models and their covariance (m, m)."""

    areas: FloatArray
    covariance: FloatArray


def _components(
    scores: FloatArray, labels: NDArray[np.bool_], groups: NDArray[np.intp]
) -> _Components | None:
    """Obuchowski's covariance of the areas of models, scores (m, n)."""
    n_patients = int(groups.max()) + 1
    n_positive, n_negative = int(labels.sum()), int((~labels).sum())
    positives = np.bincount(groups[labels], minlength=n_patients)
    negatives = np.bincount(groups[~labels], minlength=n_patients)
    with_positive, with_negative = int((positives > 0).sum()), int((negatives > 0).sum())
    if with_positive < 2 or with_negative < 2:
        return None
    areas = np.empty(len(scores))
    above, below = np.empty((2, len(scores), n_patients))
    for m, values in enumerate(scores):
        ranks = rankdata(values)
        beats = (ranks[labels] - rankdata(values[labels])) / n_negative
        beaten = 1.0 - (ranks[~labels] - rankdata(values[~labels])) / n_positive
        areas[m] = beats.mean()
        own = np.bincount(groups[labels], beats, minlength=n_patients)
        above[m] = own - positives * areas[m]
        own = np.bincount(groups[~labels], beaten, minlength=n_patients)
        below[m] = own - negatives * areas[m]
    s_10 = with_positive / ((with_positive - 1) * n_positive) * (above @ above.T)
    s_01 = with_negative / ((with_negative - 1) * n_negative) * (below @ below.T)
    # Covariance of a patient's positives with its negatives; 0 for one item per patient.
    s_11 = n_patients / (n_patients - 1) * (above @ below.T)
    shared = (s_11 + s_11.T) / (n_positive * n_negative)
    return _Components(areas, s_10 / n_positive + s_01 / n_negative + shared)


def _z(difference: float, error: float) -> float:
    if error > 0:
        return difference / error
    return 0.0 if difference == 0 else math.copysign(math.inf, difference)


def _quantile(confidence: float) -> float:
    return float(norm.ppf(0.5 + confidence / 2))

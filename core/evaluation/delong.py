"""DeLong's test of two AUCs and the interval of one, for patients with several items each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from core.evaluation.curves import checked_scores
from core.evaluation.estimates import Z_95, Estimate
from core.evaluation.resampling import patient_places
from core.types import FloatArray

_NOTHING: Final = 1e-9
"""A standard error below this is rounding error."""


@dataclass(frozen=True, slots=True)
class DelongTest:
    """Two models on the same items.

    Attributes:
        difference: AUC of the first minus that of the second.
        standard_error: Standard error of the difference.
        low: Lower end of the difference's 95 % interval.
        high: Upper end.
        p_value: Two-sided.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def delong_test(
    first: ArrayLike, second: ArrayLike, truth: ArrayLike, patients: ArrayLike | None = None
) -> DelongTest | None:
    """Test whether two models' AUCs on the same items differ (DeLong et al., 1988).

    Items of one patient are not independent. With one item per patient this is DeLong's variance;
    with several it is Obuchowski's (1997) for clustered data, which adds the covariance of items
    of one patient. Midranks as in Sun and Xu, 2014.

    Args:
        first: (n,) finite scores of the first model.
        second: (n,) finite scores of the second model.
        truth: (n,) of 0/1.
        patients: (n,) patient of each item; None makes every item a separate patient.

    Returns:
        None where a class has fewer than two patients.

    Raises:
        PredictionsError: As `checked_scores` describes, or `patients` has another length.
    """
    one, labels = checked_scores(first, truth)
    other, _ = checked_scores(second, truth)
    found = _areas(np.stack([one, other]), labels, patient_places(patients, len(one)))
    if found is None:
        return None
    areas, covariance = found
    contrast = np.array([1.0, -1.0])
    difference = float(areas @ contrast)
    # Rounding may leave a variance below 0 for two equal models.
    error = math.sqrt(max(float(contrast @ covariance @ contrast), 0.0))
    if error < _NOTHING:
        error = 0.0
        z = math.inf if difference else 0.0
    else:
        z = abs(difference) / error
    half = float(norm.ppf(0.975)) * error
    return DelongTest(
        difference=difference,
        standard_error=error,
        low=max(difference - half, -1.0),
        high=min(difference + half, 1.0),
        p_value=float(2 * norm.sf(z)),
    )


def auc_estimate(
    scores: ArrayLike, truth: ArrayLike, patients: ArrayLike | None = None
) -> Estimate | None:
    """AUC with its 95 % interval on the scale of log-odds, which stays within [0, 1].

    Variance as in `delong_test`; interval as Pepe, 2003, section 5.2.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) patient of each item; None makes every item a separate patient.

    Returns:
        None where a class has fewer than two patients; without an interval where every pair is
        in order, or none.

    Raises:
        PredictionsError: As `checked_scores` describes, or `patients` has another length.
    """
    values, labels = checked_scores(scores, truth)
    found = _areas(values[None], labels, patient_places(patients, len(values)))
    if found is None:
        return None
    area, error = float(found[0][0]), math.sqrt(max(float(found[1][0, 0]), 0.0))
    if error < _NOTHING or not 0 < area < 1:
        return Estimate(area, None, None)
    half = Z_95 * error / (area * (1 - area))
    ends = logit(area) + np.array([-half, half])
    low, high = expit(ends)
    return Estimate(area, float(low), float(high))


def _areas(
    scores: FloatArray, labels: NDArray[np.bool_], groups: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray] | None:
    """Areas (m,) of models with scores (m, n), and their covariance (m, m) by Obuchowski."""
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
    return areas, s_10 / n_positive + s_01 / n_negative + shared

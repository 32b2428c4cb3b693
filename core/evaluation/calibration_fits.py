"""Calibration maps, temperature scaling and isotonic regression, fitted across folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from core.dataset.splits import grouped_folds
from core.errors import PredictionsError
from core.evaluation.calibration import BINS, Reliability, checked_probabilities, reliability
from core.evaluation.resampling import patient_places
from core.evaluation.tables.evaluation_set import LevelItems

Method = Literal["temperature", "isotonic"]
Calibration = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_CLIP: Final = 1e-7
"""Distance from 0 and 1 at which float32 probabilities lose their logit."""
_LARGEST_TEMPERATURE: Final = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """Effect of calibration: each patient's scores by a fit on the other patients.

    Attributes:
        scores: float64 (n,), calibrated, in the order of the items.
        before: Reliability of the uncalibrated scores.
        after: Reliability of `scores`.
        temperature: Temperature of the fit on all patients; None for the isotonic method.
    """

    scores: NDArray[np.float64]
    before: Reliability
    after: Reliability
    temperature: float | None


def scale(scores: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Scores (n,) at a temperature T > 0: logit p' = logit p / T (Guo et al., 2017).

    A temperature above 1 moves scores towards 0.5.
    """
    return expit(_logits(np.asarray(scores, np.float64)) / temperature)


def fit_temperature(scores: ArrayLike, truth: ArrayLike) -> float:
    """Find the temperature of the lowest log loss, between 1/1000 and 1000.

    Raises:
        PredictionsError: As `reliability` describes, or a class is missing.
    """
    values, labels = checked_probabilities(scores, truth)
    if labels.all() or not labels.any():
        raise PredictionsError("A temperature needs both classes; take more studies.")
    logits = _logits(values)

    def slope(log_temperature: float) -> float:
        """Derivative of the loss by 1/T, which rises: the loss is convex in 1/T."""
        inverse = math.exp(-log_temperature)
        return float(np.dot(logits, expit(inverse * logits) - labels))

    lowest, highest = -math.log(_LARGEST_TEMPERATURE), math.log(_LARGEST_TEMPERATURE)
    if slope(highest) >= 0:
        return _LARGEST_TEMPERATURE
    if slope(lowest) <= 0:
        return 1.0 / _LARGEST_TEMPERATURE
    found: Any = brentq(slope, lowest, highest, xtol=1e-12)
    return math.exp(float(found))


def fit_isotonic(scores: ArrayLike, truth: ArrayLike) -> Calibration:
    """Fit by pooling adjacent violators (Zadrozny and Elkan, 2002).

    Returns:
        Calibrates scores (n,): linear between the knots, beyond them the nearest value.

    Raises:
        PredictionsError: As `reliability` describes.
    """
    # Importing scikit-learn takes a second; a page that fits nothing does not pay for it.
    from sklearn.isotonic import IsotonicRegression

    values, labels = checked_probabilities(scores, truth)
    return IsotonicRegression(out_of_bounds="clip").fit(values, labels).predict


def cross_fit(
    items: LevelItems, method: Method, *, folds: int = 5, seed: int = 0, bins: int = BINS
) -> CrossFitted:
    """Calibrate every patient's scores by a fit on the patients of the other folds.

    Patients with and without a positive item are spread evenly over the folds.

    Raises:
        PredictionsError: Fewer than two folds, fewer patients than folds, a method that does not
            exist, or a fold's complement lacks a class.
    """
    fit = _FITS.get(method)
    if fit is None:
        raise PredictionsError(
            f"{method!r} is not a calibration method; choose one of {', '.join(_FITS)}."
        )
    values, labels = checked_probabilities(items.scores, items.truth)
    groups = patient_places(items.patients, len(values))
    fold_of = _patient_folds(groups, labels, folds, seed)[groups]
    calibrated = np.empty(len(values))
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        calibrated[held_out] = fit(values[~held_out], labels[~held_out])(values[held_out])
    return CrossFitted(
        scores=calibrated,
        before=reliability(values, labels, bins=bins),
        after=reliability(calibrated, labels, bins=bins),
        temperature=fit_temperature(values, labels) if method == "temperature" else None,
    )


_FITS: Final[dict[str, Callable[[ArrayLike, ArrayLike], Calibration]]] = {
    "temperature": lambda scores, truth: partial(scale, temperature=fit_temperature(scores, truth)),
    "isotonic": fit_isotonic,
}


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return logit(np.clip(probabilities, _CLIP, 1.0 - _CLIP))


def _patient_folds(
    groups: NDArray[np.intp], labels: NDArray[np.bool_], folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold of each patient, (patients,)."""
    n_patients = int(groups.max()) + 1
    if folds < 2 or n_patients < folds:
        raise PredictionsError(
            f"{n_patients} patients cannot be split into {folds} folds; take at least two folds "
            "and as many patients."
        )
    positive = np.bincount(groups[labels], minlength=n_patients) > 0
    return grouped_folds(np.arange(n_patients), positive, folds, seed)

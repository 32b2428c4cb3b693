"""Maps from a score to a better calibrated one: temperature and isotonic, fitted across folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.evaluation.calibration import Reliability
from core.evaluation.evaluation_set import LevelItems

Method = Literal["temperature", "isotonic"]


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """logit p' = logit p / T (Guo et al., 2017).

    Attributes:
        temperature: T > 0; above 1 makes scores less sure.
    """

    temperature: float

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Calibrated scores (n,)."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class IsotonicFit:
    """The rising step function of least squares (Zadrozny and Elkan, 2002), straight between steps.

    Attributes:
        knots: float64 (k,), rising scores.
        values: float64 (k,), calibrated scores there, never falling.
    """

    knots: NDArray[np.float64]
    values: NDArray[np.float64]

    def apply(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Calibrated scores (n,); beyond the knots the nearest value."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """What calibration would bring: each patient's scores by a fit on the other patients.

    Attributes:
        method: The kind of fit.
        scores: float64 (n,), calibrated, in the order of the items.
        before: Reliability of the scores as they are.
        after: Reliability of `scores`.
        fit: On all patients: what to use on new ones.
    """

    method: Method
    scores: NDArray[np.float64]
    before: Reliability
    after: Reliability
    fit: TemperatureFit | IsotonicFit


def fit_temperature(scores: ArrayLike, truth: ArrayLike) -> TemperatureFit:
    """Find the temperature of the lowest log loss.

    Raises:
        PredictionsError: As `reliability` describes, or a class is missing.
    """
    raise NotImplementedError


def fit_isotonic(scores: ArrayLike, truth: ArrayLike) -> IsotonicFit:
    """Fit by pooling adjacent violators.

    Raises:
        PredictionsError: As `reliability` describes.
    """
    raise NotImplementedError


def cross_fit(
    items: LevelItems, method: Method, *, folds: int = 5, seed: int = 0, bins: int = 15
) -> CrossFitted:
    """Calibrate every patient's scores by a fit on the patients of the other folds.

    Raises:
        PredictionsError: Fewer patients than folds, or a fold's complement lacks a class.
    """
    raise NotImplementedError

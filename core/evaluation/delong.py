"""DeLong's interval of an AUC and his test of two, with patients that own several items."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class DelongInterval:
    """An AUC with its normal interval, cut to [0, 1].

    Attributes:
        auc: The area.
        standard_error: Of the area.
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
        first_auc: Of the first model.
        second_auc: Of the second model.
        difference: First minus second.
        standard_error: Of the difference.
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

    With one item a patient this is DeLong's variance; with several it is Obuchowski's (1997) for
    clustered data, which adds what items of one patient share. Midranks as in Sun and Xu, 2014.

    Args:
        scores: (n,) finite scores.
        truth: (n,) of 0/1.
        patients: (n,) whose each item is; None makes every item a patient of its own.
        confidence: Of the interval.

    Returns:
        None where a class has fewer than two patients.

    Raises:
        PredictionsError: As `checked_scores` describes, or `patients` has another length.
    """
    raise NotImplementedError


def delong_test(
    first: ArrayLike,
    second: ArrayLike,
    truth: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> DelongTest | None:
    """Test whether two models' AUCs on the same items differ; as `delong_interval` otherwise."""
    raise NotImplementedError

"""McNemar's test: do two models, each at its threshold, err on different items?"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class McnemarTest:
    """Items on which exactly one of two models is right.

    Attributes:
        first_only: Items that only the first model calls rightly.
        second_only: Items that only the second model calls rightly.
        p_value: Two-sided; 1 where there is no such item.
        exact: Whether by the binomial distribution; else by Durkalski's chi-square for clusters.
    """

    first_only: int
    second_only: int
    p_value: float
    exact: bool


def mcnemar_test(
    first_called: ArrayLike,
    second_called: ArrayLike,
    truth: ArrayLike,
    patients: ArrayLike | None = None,
) -> McnemarTest:
    """Compare two models' right and wrong calls on the same items.

    Exact and binomial where each patient owns one item (McNemar, 1947); where one owns several,
    Durkalski et al., 2003, whose statistic sums each patient's share of disagreement.

    Args:
        first_called: bool (n,), the first model's calls at its threshold.
        second_called: bool (n,).
        truth: (n,) of 0/1.
        patients: (n,) whose each item is; None makes every item a patient of its own.

    Raises:
        PredictionsError: Lengths differ or there is no item.
    """
    raise NotImplementedError

"""McNemar's test: do two models, each at its threshold, err on different items?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, chi2

from core.evaluation.curves import checked_scores
from core.evaluation.resampling import patient_places


@dataclass(frozen=True, slots=True)
class McnemarTest:
    """Items on which exactly one of two models is right.

    Attributes:
        first_only: Items that only the first model calls rightly.
        second_only: Items that only the second model calls rightly.
        p_value: Two-sided; 1 where there is no such item.
        exact: Whether by the binomial distribution; otherwise Durkalski's chi-square for clusters.
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

    Exact and binomial with one item per patient (McNemar, 1947); with several, the statistic of
    Durkalski et al., 2003, which sums each patient's share of disagreement.

    Args:
        first_called: bool (n,), the first model's calls at its threshold.
        second_called: bool (n,).
        truth: (n,) of 0/1.
        patients: (n,) patient of each item; None makes every item a separate patient.

    Raises:
        PredictionsError: Lengths differ or there is no item.
    """
    one, labels = checked_scores(first_called, truth)
    other, _ = checked_scores(second_called, truth)
    first_right, second_right = (one > 0) == labels, (other > 0) == labels
    first_only, second_only = first_right & ~second_right, second_right & ~first_right
    better, worse = int(first_only.sum()), int(second_only.sum())
    groups = patient_places(patients, len(labels))
    items = np.bincount(groups)
    if items.max() == 1:
        n = better + worse
        p_value = float(binomtest(better, n).pvalue) if n else 1.0
        return McnemarTest(better, worse, p_value, exact=True)
    leads = np.bincount(groups[first_only], minlength=len(items))
    trails = np.bincount(groups[second_only], minlength=len(items))
    shares = (leads - trails) / items
    spread = float((shares**2).sum())
    p_value = float(chi2.sf(float(shares.sum()) ** 2 / spread, 1)) if spread > 0 else 1.0
    return McnemarTest(better, worse, p_value, exact=False)

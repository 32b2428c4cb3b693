"""Do scores mean what they say? Reliability, Brier score and expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Binning = Literal["equal width", "equal count"]
BINS: Final = 15
"""As in Guo et al., 2017."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Mean score against share of positives, bin by bin; empty bins are left out.

    Attributes:
        mean_score: float64 (b,), of the bin's items.
        positive_share: float64 (b,).
        low: float64 (b,), Wilson's 95 % interval of the share, items taken as independent.
        high: float64 (b,).
        counts: int64 (b,), items in the bin.
        edges: float64 (b, 2), the bin's limits.
        brier: Mean squared error (Brier, 1950).
        expected_error: sum_b n_b/n |share_b - mean_b|.
        largest_error: max_b |share_b - mean_b|.
    """

    mean_score: NDArray[np.float64]
    positive_share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    brier: float
    expected_error: float
    largest_error: float


def reliability(
    scores: ArrayLike, truth: ArrayLike, *, bins: int = BINS, binning: Binning = "equal width"
) -> Reliability:
    """Sort scores into bins and compare what they promise with what is true.

    Bins are closed above, the first on both sides; a score of 1 is in the last. "equal count" cuts
    at quantiles, so ties may make fewer bins.

    Args:
        scores: (n,) probabilities in [0, 1].
        truth: (n,) of 0/1.
        bins: At least 1.
        binning: How limits are set.

    Raises:
        PredictionsError: As `checked_scores` describes, a score leaves [0, 1], or `bins` < 1.
    """
    raise NotImplementedError


def brier_score(scores: ArrayLike, truth: ArrayLike) -> float:
    """Mean squared difference of probability and truth (Brier, 1950).

    Raises:
        PredictionsError: As `reliability` describes.
    """
    raise NotImplementedError


def expected_calibration_error(scores: ArrayLike, truth: ArrayLike, bins: int = BINS) -> float:
    """sum_b n_b/n |share_b - mean_b| over bins of equal width (Naeini et al., 2015).

    Raises:
        PredictionsError: As `reliability` describes.
    """
    raise NotImplementedError

"""Calibration of scores: reliability, Brier score and expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import PredictionsError
from core.evaluation.curves import checked_scores
from core.evaluation.estimates import wilson_interval
from core.types import FloatArray

Binning = Literal["equal width", "equal count"]
BINS: Final = 15
"""As in Guo et al., 2017."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Mean score against share of positives, bin by bin; empty bins are left out.

    Attributes:
        mean_score: float64 (b,), of the bin's items.
        positive_share: float64 (b,).
        interval: float64 (2, b), Wilson's 95 % interval of the share, items taken as independent.
        counts: int64 (b,), items in the bin.
        brier: Mean squared error (Brier, 1950).
        expected_error: sum_b n_b/n |share_b - mean_b|.
    """

    mean_score: NDArray[np.float64]
    positive_share: NDArray[np.float64]
    interval: NDArray[np.float64]
    counts: NDArray[np.int64]
    brier: float
    expected_error: float


def reliability(
    scores: ArrayLike, truth: ArrayLike, *, bins: int = BINS, binning: Binning = "equal width"
) -> Reliability:
    """Compare the mean score of each bin with its share of positives.

    Bins are closed above, the first on both sides. "equal count" cuts at quantiles, so ties may
    make fewer bins.

    Args:
        scores: (n,) probabilities in [0, 1].
        truth: (n,) of 0/1.
        bins: At least 1.
        binning: How the limits of the bins are set.

    Raises:
        PredictionsError: As `checked_scores` describes, a score is outside [0, 1], or `bins` < 1.
    """
    values, labels = checked_probabilities(scores, truth)
    edges = equal_edges(bins)
    if binning == "equal count":
        edges = np.unique(np.quantile(values, edges))
        edges = edges if len(edges) > 1 else np.array([edges[0], edges[0]])
    places, n_bins = bin_places(values, edges), len(edges) - 1
    counts = np.bincount(places, minlength=n_bins)
    used = counts > 0
    counts = counts[used]
    mean = np.bincount(places, values, minlength=n_bins)[used] / counts
    share = np.bincount(places, labels, minlength=n_bins)[used] / counts
    return Reliability(
        mean_score=mean,
        positive_share=share,
        interval=wilson_interval(share, counts),
        counts=counts,
        brier=float(np.mean((values - labels) ** 2)),
        expected_error=float((np.abs(share - mean) * counts).sum() / len(values)),
    )


def equal_edges(bins: int) -> FloatArray:
    """Limits of `bins` bins of equal width over [0, 1], (bins + 1,).

    Raises:
        PredictionsError: `bins` < 1.
    """
    if bins < 1:
        raise PredictionsError(f"{bins} bins hold no score; ask for 1 or more.")
    return np.linspace(0.0, 1.0, bins + 1)


def bin_places(values: FloatArray, edges: FloatArray) -> NDArray[np.intp]:
    """Bin of each value, (n,); bins are closed above."""
    return np.searchsorted(edges[1:-1], values, side="left")


def checked_probabilities(
    scores: ArrayLike, truth: ArrayLike
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return what `checked_scores` returns, every score in [0, 1].

    Raises:
        PredictionsError: As `checked_scores` describes, or a score is outside [0, 1].
    """
    values, labels = checked_scores(scores, truth)
    if values.min() < 0 or values.max() > 1:
        raise PredictionsError(
            "A score is outside [0, 1]; calibration needs probabilities, so scale the scores first."
        )
    return values, labels

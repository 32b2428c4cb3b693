"""Histograms of the scores of positives and negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.evaluation.calibration import equal_edges
from core.evaluation.curves import checked_scores


@dataclass(frozen=True, slots=True, eq=False)
class ScoreHistogram:
    """Counts of scores in bins of equal width.

    Attributes:
        edges: float64 (bins + 1,), rising; a bin includes its lower edge, the last one both.
        positives: int64 (bins,), items whose truth is positive.
        negatives: int64 (bins,), items whose truth is negative.
    """

    edges: NDArray[np.float64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @property
    def positive_share(self) -> NDArray[np.float64]:
        """Share of the positives in each bin, (bins,); zeros without a positive."""
        return self.positives / max(int(self.positives.sum()), 1)

    @property
    def negative_share(self) -> NDArray[np.float64]:
        """Share of the negatives in each bin, (bins,); zeros without a negative."""
        return self.negatives / max(int(self.negatives.sum()), 1)


def score_histogram(scores: ArrayLike, truth: ArrayLike, *, bins: int = 50) -> ScoreHistogram:
    """Count scores (n,) in [0, 1] by truth (n,).

    Raises:
        PredictionsError: As `checked_scores` describes, or there is no bin.
    """
    values, labels = checked_scores(scores, truth)
    edges = equal_edges(bins)
    # Compared as float32, the outputs of networks: 0.58 counts as on its edge whether it was
    # stored as float32, as float64, or computed with rounding (0.29 * 100 is 28.999…).
    place = np.searchsorted(edges.astype(np.float32), values.astype(np.float32), side="right") - 1
    place = np.clip(place, 0, bins - 1)
    both = np.bincount(place + bins * labels, minlength=2 * bins).reshape(2, bins)
    return ScoreHistogram(edges, positives=both[1], negatives=both[0])

"""Scores on the held-out slices at the end of each epoch, counted in bins by truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS: Final = 50
"""Bins of equal width over [0, 1]; calls can be counted at their edges."""
SCORES_KEY: Final = "score_counts"
"""Key of the counts in the lines of "validation"."""


class EpochCalls(NamedTuple):
    """Calls at a threshold: a score at or above it is a call."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True, slots=True, eq=False)
class EpochScores:
    """Scores after one epoch, all outputs of the network together.

    Attributes:
        epoch: Epochs finished.
        negatives: int64 (bins,), scores whose truth is negative; a bin includes its lower edge, the
            last one both.
        positives: int64 (bins,), the same of positives.
    """

    epoch: int
    negatives: NDArray[np.int64]
    positives: NDArray[np.int64]

    @property
    def edges(self) -> NDArray[np.float64]:
        """float64 (bins + 1,), rising from 0 to 1."""
        return np.linspace(0, 1, len(self.negatives) + 1)

    def calls_at(self, threshold: float) -> EpochCalls:
        """Calls at the edge nearest to a threshold in [0, 1]."""
        first = round(threshold * len(self.negatives))
        return EpochCalls(
            int(self.positives[first:].sum()), int(self.negatives[first:].sum()),
            int(self.positives[:first].sum()), int(self.negatives[:first].sum()),
        )  # fmt: skip


def score_counts(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Count scores in bins, by truth, as a line of metrics holds them.

    Args:
        scores: Any shape, in [0, 1]; NaN is left out.
        truth: The same shape.
    """
    known = np.isfinite(scores)
    values, labels = scores[known].astype(np.float32), truth[known]
    edges = np.linspace(0, 1, BINS + 1).astype(np.float32)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    negatives, positives = (
        np.bincount(place[labels == label], minlength=BINS).tolist() for label in (False, True)
    )
    return {"negatives": negatives, "positives": positives}


def epoch_scores(validation: pd.DataFrame) -> list[EpochScores]:
    """Scores of the epochs that have them, in the order of epochs; runs of before have none.

    Args:
        validation: Lines of "validation".
    """
    if SCORES_KEY not in validation or "epoch" not in validation:
        return []
    lines = zip(validation["epoch"], validation[SCORES_KEY], strict=True)
    return [found for epoch, counts in lines if (found := _read(epoch, counts)) is not None]


def _read(epoch: Any, counts: Any) -> EpochScores | None:  # noqa: ANN401 - from a file
    """Scores of a line; None if it has none."""
    if not isinstance(counts, dict):
        return None
    try:
        negatives, positives = (
            np.asarray(counts[name], dtype=np.int64) for name in ("negatives", "positives")
        )
    except (KeyError, ValueError, TypeError):
        return None
    if negatives.ndim != 1 or not len(negatives) or negatives.shape != positives.shape:
        return None
    return EpochScores(int(epoch), negatives, positives)

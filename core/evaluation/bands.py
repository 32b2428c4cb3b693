"""Bands around ROC and precision-recall curves, from patients drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.evaluation_set import LevelItems


@dataclass(frozen=True, slots=True, eq=False)
class CurveBand:
    """Pointwise percentile bands over a grid.

    Attributes:
        grid: float64 (g,), 0..1: false-positive rate for the ROC band, recall for the other.
        roc_low: float64 (g,), sensitivity.
        roc_high: float64 (g,).
        precision_low: float64 (g,); NaN where no replicate reaches the recall.
        precision_high: float64 (g,).
        replicates: Replicates that drew both classes.
    """

    grid: NDArray[np.float64]
    roc_low: NDArray[np.float64]
    roc_high: NDArray[np.float64]
    precision_low: NDArray[np.float64]
    precision_high: NDArray[np.float64]
    replicates: int


def curve_bands(
    items: LevelItems,
    *,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    points: int = 101,
) -> CurveBand | None:
    """Bands of both curves; None where a class is missing or there are fewer than two patients.

    Each replicate weighs patients by how often they were drawn; its curve stands at up to 512
    thresholds of the whole set's curve, straight between them.
    """
    raise NotImplementedError

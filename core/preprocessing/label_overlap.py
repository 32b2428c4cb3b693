"""How well two label volumes of vertebrae agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.preprocessing.spine_grid import OTHER_VERTEBRA

LEAST_MM3: Final = 800.0
"""Of a vertebra at the end of a scan, less than 0.8 mL is no vertebra to find."""
_CLASSES: Final = OTHER_VERTEBRA + 1


@dataclass(frozen=True, slots=True, eq=False)
class LabelOverlap:
    """Agreement of predicted with true labels of one study.

    Attributes:
        dice: float64 (8,), Dice coefficient of C1..C7 and other vertebrae; NaN for those with fewer
            than `LEAST_MM3` of true voxels.
        right: bool (8,), whether most of a true vertebra's voxels have its label.
        seen: bool (8,), whether it has `LEAST_MM3` of true voxels.
    """

    dice: NDArray[np.float64]
    right: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def overlap_of(
    predicted: NDArray[np.uint8], truth: NDArray[np.uint8], voxel_mm3: float
) -> LabelOverlap:
    """Compare two label volumes.

    The Dice coefficient (Dice 1945) is twice the common voxels over the sum of both counts.

    Args:
        predicted: uint8 of any shape: 0 background, 1..7 C1..C7, 8 other vertebra.
        truth: The same; voxels with larger labels are left out.
        voxel_mm3: Volume of a voxel.

    Raises:
        ValueError: The shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"Labels of shape {predicted.shape} and {truth.shape} do not fit.")
    known = truth < _CLASSES
    pairs = truth[known].astype(np.int64) * _CLASSES + predicted[known]
    table = np.bincount(pairs, minlength=_CLASSES**2).reshape(_CLASSES, _CLASSES)
    both, of_truth, of_predicted = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    seen = of_truth[1:] * voxel_mm3 >= LEAST_MM3
    sums = np.maximum(of_truth + of_predicted, 1)
    dice = np.where(seen, (2.0 * both / sums)[1:], np.nan)
    most = table[1:].argmax(axis=1) == np.arange(1, _CLASSES)
    return LabelOverlap(dice, most & seen, seen)

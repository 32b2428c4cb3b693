"""Anchors fitted to the training boxes of a localiser."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import TrainingError

Anchors = tuple[tuple[tuple[float, float], ...], ...]
"""(width, height) in pixels of the network's input, by pyramid level, finest first."""

_ROUNDS: Final = 100


def fit_anchors(
    sides: NDArray[np.float64], *, levels: int, per_level: int, seed: int = 0
) -> Anchors:
    """Cluster the boxes' sides and distribute the clusters over the levels of a feature pyramid.

    k-means with the distance 1 - IoU of boxes that share a centre (Redmon and Farhadi 2017,
    "YOLO9000", section 2): with the Euclidean distance most anchors would go to large boxes. The
    smallest clusters go to the finest level.

    Args:
        sides: float64 (n, 2), width and height of every box in pixels.
        levels: Number of pyramid levels, >= 1.
        per_level: Anchors per level, >= 1.
        seed: Seed of the initial cluster centres.

    Raises:
        TrainingError: There is no box.
    """
    if len(sides) == 0:
        raise TrainingError(
            "No study has a box to fit anchors to; add train_bounding_boxes.csv to the data root, "
            "or choose another fold."
        )
    wanted = levels * per_level
    rng = np.random.default_rng(seed)
    first = np.argsort(sides.prod(axis=1), kind="stable")
    quantiles = (np.arange(wanted) + 0.5) / wanted
    centers = sides[first[(quantiles * len(sides)).astype(np.int64)]]
    # Equal centres would never separate.
    centers = centers * rng.uniform(0.95, 1.05, centers.shape)
    for _ in range(_ROUNDS):
        nearest = shared_centre_iou(sides, centers).argmax(axis=1)
        moved = np.array(
            [
                np.median(sides[nearest == k], axis=0) if (nearest == k).any() else centers[k]
                for k in range(wanted)
            ]
        )
        if np.array_equal(moved, centers):
            break
        centers = moved
    ordered = centers[np.argsort(centers.prod(axis=1), kind="stable")].round(1)
    pairs = [(float(width), float(height)) for width, height in ordered]
    return tuple(
        tuple(pairs[level * per_level : (level + 1) * per_level]) for level in range(levels)
    )


def shared_centre_iou(
    sides: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """IoU of boxes that share a centre, float64 (n, m), from sides (n, 2) and (m, 2)."""
    shared = np.minimum(sides[:, np.newaxis], others).prod(axis=2)
    return shared / (sides.prod(axis=1)[:, np.newaxis] + others.prod(axis=1) - shared)

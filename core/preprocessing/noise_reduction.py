"""Noise reduction of a grey slice: of its background by a threshold, of its tissues by K-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.types import NoiseReduction

LEVELS: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class NoiseResult:
    """Result of noise reduction with its grey-level groups.

    Attributes:
        image: uint8, the slice after noise reduction.
        groups: uint8 of the same shape: 0 for the darkest group (the background), then upwards.
        starts: Grey level at which each group but the darkest begins, increasing.
        means: Mean grey level of each group, as many as there are groups.
        counts: int64 (256,), pixels of each grey level before noise reduction.
    """

    image: NDArray[np.uint8]
    groups: NDArray[np.uint8]
    starts: tuple[int, ...]
    means: tuple[float, ...]
    counts: NDArray[np.int64]


def reduce_noise(image: NDArray[np.uint8], how: NoiseReduction) -> NDArray[np.uint8]:
    """Apply noise reduction to one prepared slice.

    Args:
        image: uint8, one grey image of any shape.
        how: The method and its parameter.

    Returns:
        uint8 of the same shape; `image` itself where the method is "none".
    """
    if how.method == "none":
        return image
    counts = grey_histogram(image)
    return _look_up(image, _new_levels(how, counts, group_starts(counts, how)))


def explain_noise(image: NDArray[np.uint8], how: NoiseReduction) -> NoiseResult:
    """Do what `reduce_noise` does, and return the groups as well.

    Args:
        image: uint8, one grey image of any shape.
        how: The method and its parameter; "none" gives a single group.
    """
    counts = grey_histogram(image)
    starts = group_starts(counts, how)
    group_of = _group_of_level(starts)
    levels = np.arange(LEVELS)
    weights = [counts * (group_of == group) for group in range(len(starts) + 1)]
    return NoiseResult(
        image=reduce_noise(image, how),
        groups=_look_up(image, group_of),
        starts=starts,
        means=tuple(float(w @ levels / w.sum()) if w.any() else float("nan") for w in weights),
        counts=counts,
    )


def group_starts(counts: NDArray[np.int64], how: NoiseReduction) -> tuple[int, ...]:
    """Return the grey levels at which each group but the darkest begins.

    Args:
        counts: int64 (256,), pixels of each grey level.
        how: The method and its parameter.
    """
    if how.method == "threshold":
        return (how.threshold,)
    if how.method == "otsu":
        threshold = otsu_threshold(counts)
        return () if threshold is None else (threshold,)
    return kmeans_starts(counts, how.clusters) if how.method == "kmeans" else ()


def grey_histogram(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the pixels of each grey level, int64 (256,)."""
    return np.bincount(image.ravel(), minlength=LEVELS).astype(np.int64)


def otsu_threshold(counts: NDArray[np.int64]) -> int | None:
    """Find the grey level that separates background and foreground best.

    It maximises the variance between the two classes (Otsu 1979, "A Threshold Selection Method
    from Gray-Level Histograms"); of equal levels the lowest.

    Args:
        counts: int64 (256,), pixels of each grey level.

    Returns:
        The first level of the foreground, 1..255; None if all pixels are equal.
    """
    levels = np.arange(len(counts))
    below, total = np.cumsum(counts)[:-1], int(counts.sum())
    grey_below, grey = np.cumsum(counts * levels)[:-1], int(counts @ levels)
    both = (below > 0) & (below < total)
    if not both.any():
        return None
    # Whole numbers up to the square, so that empty levels between two classes tie exactly.
    distance = (total * grey_below - below * grey).astype(np.float64)
    weight = np.where(both, below * (total - below), 1).astype(np.float64)
    return int(np.where(both, distance**2 / weight, -1.0).argmax()) + 1


def kmeans_starts(counts: NDArray[np.int64], clusters: int) -> tuple[int, ...]:
    """Divide the grey levels into groups with the least squared distance to their means.

    Exact and without a random start: in one dimension groups are intervals, so the best division
    of the first levels into m groups follows from that into m - 1 (Wang and Song 2011,
    "Ckmeans.1d.dp"). Of equal divisions, the one whose upper groups begin lowest.

    Args:
        counts: int64 (256,), pixels of each grey level.
        clusters: Number of groups, >= 1; fewer if there are fewer different levels.

    Returns:
        The grey level at which each group but the first begins, increasing.
    """
    levels = np.flatnonzero(counts)
    groups = min(clusters, len(levels))
    cost = _interval_costs(levels, counts[levels])
    best, choices = cost[0], []
    for _ in range(groups - 1):
        # Row i: the last group begins at level i, the others share levels 0..i-1.
        candidates = np.concatenate(([np.inf], best[:-1]))[:, np.newaxis] + cost
        choice = candidates.argmin(axis=0)
        best = np.take_along_axis(candidates, choice[np.newaxis], axis=0)[0]
        choices.append(choice)
    starts: list[int] = []
    last = len(levels) - 1
    for choice in reversed(choices):
        first = int(choice[last])
        starts.append(int(levels[first]))
        last = first - 1
    return tuple(reversed(starts))


def _interval_costs(levels: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared distance to the mean of levels i..j, float64 (n, n); infinite where j < i."""
    sums = [np.concatenate(([0], np.cumsum(weights * levels**power))) for power in (0, 1, 2)]
    mass, first, second = (total[np.newaxis, 1:] - total[:-1, np.newaxis] for total in sums)
    inside = mass > 0
    spread = np.where(inside, mass * second - first**2, 0).astype(np.float64)
    return np.where(inside, spread / np.where(inside, mass, 1), np.inf)


def _new_levels(
    how: NoiseReduction, counts: NDArray[np.int64], starts: tuple[int, ...]
) -> NDArray[np.uint8]:
    """New grey level of each old one, uint8 (256,)."""
    levels = np.arange(LEVELS)
    if how.method != "kmeans":
        return np.where(levels < (starts[0] if starts else 0), 0, levels).astype(np.uint8)
    group_of = _group_of_level(starts)
    mass = np.bincount(group_of, counts, len(starts) + 1)
    grey = np.bincount(group_of, counts * levels, len(starts) + 1)
    return np.rint(grey / np.maximum(mass, 1))[group_of].astype(np.uint8)


def _group_of_level(starts: tuple[int, ...]) -> NDArray[np.uint8]:
    """Group of each grey level, uint8 (256,)."""
    return np.searchsorted(starts, np.arange(LEVELS), side="right").astype(np.uint8)


def _look_up(image: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.LUT(image, table).astype(np.uint8, copy=False)

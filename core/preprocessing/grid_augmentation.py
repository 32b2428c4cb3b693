"""Random changes to a grid along the spine and its labels, for training."""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

MAX_PLANES: Final = 112
"""A longer grid is cut to so many planes: a step then costs at most so much."""
SHORTEST: Final = 32
"""Planes of the shortest scan that is imitated."""
CUT_SHARE: Final = 0.3
ROTATION: Final = 0.16
"""Largest angle about each axis in radians, one standard deviation being half of it."""
SHIFT: Final = 4.0
"""Largest shift in plane, in voxels: the course of the field is uncertain by as much."""
LOG_SCALE: Final = 0.16
FLOOR_SHARE: Final = 0.6
LEAST_NOISE: Final = 0.006
MOST_NOISE: Final = 0.05
"""Standard deviations, as a share of the window."""
HIGHEST_FLOOR: Final = 36.0
"""Grey level up to which everything may become equal, so that no air shows."""


def augment_grid(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut, mirror, move and disturb one study.

    Left and right are interchangeable, up and down never are: which vertebra is which shows from
    their order.

    Args:
        image: uint8 (z, y, x), grey levels.
        labels: uint8 (z, y, x).
        rng: Random generator.

    Returns:
        Both, with at most `MAX_PLANES` planes.
    """
    image, labels = _cut(image, labels, rng)
    if rng.uniform() < 0.5:
        image, labels = image[..., ::-1], labels[..., ::-1]
    image, labels = _moved(image, labels, rng)
    return _disturbed(image, rng), labels


def _cut(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A range of planes: a scan may begin and end anywhere."""
    longest = min(len(image), MAX_PLANES)
    length = longest
    if longest > SHORTEST and rng.uniform() < CUT_SHARE:
        length = int(rng.integers(SHORTEST, longest + 1))
    first = int(rng.integers(0, len(image) - length + 1))
    return image[first : first + length], labels[first : first + length]


def _moved(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Turn, scale, shear and shift about the middle; the planes' range stays."""
    angles = np.clip(rng.normal(0, ROTATION / 2, 3), -ROTATION, ROTATION)
    scales = np.exp(rng.uniform(-LOG_SCALE, LOG_SCALE) + rng.normal(0, 0.03, 3))
    matrix = _rotation(angles) @ np.diag(scales)
    middle = (np.array(image.shape) - 1) / 2
    shift = np.array([0.0, *rng.uniform(-SHIFT, SHIFT, 2)])
    offset = middle + shift - matrix @ middle
    how: dict[str, Any] = {"matrix": matrix, "offset": offset, "mode": "constant", "cval": 0}
    moved = affine_transform(image, order=1, **how)
    kept = affine_transform(labels, order=0, **how)
    return cast(NDArray[np.uint8], moved), cast(NDArray[np.uint8], kept)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about z, y and x in turn, float64 (3, 3)."""
    matrix = np.eye(3)
    for (i, j), angle in zip(((1, 2), (0, 2), (0, 1)), angles, strict=True):
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def _disturbed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change grey levels: contrast, offset, gamma, blur, noise, and a floor without air."""
    grey = image.astype(np.float32) / 255.0
    if rng.uniform() < 0.3:
        grey = gaussian_filter(grey, rng.uniform(0.2, 0.9, 3))
    if rng.uniform() < FLOOR_SHARE:
        np.maximum(grey, rng.uniform(0, HIGHEST_FLOOR) / 255.0, out=grey)
    grey = grey ** np.exp(rng.uniform(-0.35, 0.35))
    grey = grey * np.exp(rng.uniform(-0.3, 0.3)) + rng.uniform(-0.06, 0.06)
    noise = rng.standard_normal(grey.shape, dtype=np.float32)
    if rng.uniform() < 0.3:
        noise = gaussian_filter(noise, 0.7) * 2.5
    # Never none: a grid of one grey level has no variance, and the norm's gradient would explode.
    grey += noise * np.float32(rng.uniform(LEAST_NOISE, MOST_NOISE))
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)

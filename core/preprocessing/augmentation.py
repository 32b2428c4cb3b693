"""Random but replayable changes to a slice: draw the numbers first, then apply them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AugmentationRanges:
    """How far a slice may be changed; each draw is uniform in [-limit, limit].

    Attributes:
        rotation_deg: Rotation about the centre in degrees.
        shift: Translation along each axis as a fraction of the side.
        log_scale: Natural logarithm of the zoom factor.
        flip_probability: Probability of a left-right flip.
        brightness: Added to the grey level, as a fraction of 255.
        log_contrast: Natural logarithm of the contrast factor about mid-grey.
    """

    rotation_deg: float = 10.0
    shift: float = 0.05
    log_scale: float = 0.1
    flip_probability: float = 0.5
    brightness: float = 0.08
    log_contrast: float = 0.15


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One drawn change, enough to replay it on any slice.

    Attributes:
        rotation_deg: Counter-clockwise rotation in degrees.
        shift_xy: Translation to the right and down, as fractions of the side.
        scale: Zoom factor, > 0.
        flip: Whether left and right are exchanged (before the rotation).
        brightness: Added to the grey level, as a fraction of 255.
        contrast: Factor on the distance from mid-grey.
    """

    rotation_deg: float = 0.0
    shift_xy: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0


def draw_augmentation(
    rng: np.random.Generator, ranges: AugmentationRanges | None = None
) -> Augmentation:
    """Draw one change at random; the same generator state gives the same change."""
    ranges = ranges or AugmentationRanges()
    rotation, right, down, zoom, brightness, contrast = rng.uniform(-1.0, 1.0, 6).tolist()
    return Augmentation(
        rotation_deg=rotation * ranges.rotation_deg,
        shift_xy=(right * ranges.shift, down * ranges.shift),
        scale=float(np.exp(zoom * ranges.log_scale)),
        flip=bool(rng.random() < ranges.flip_probability),
        brightness=brightness * ranges.brightness,
        contrast=float(np.exp(contrast * ranges.log_contrast)),
    )


def apply_augmentation(image: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Apply a drawn change to one slice; what moves in from outside is black.

    Args:
        image: uint8 (h, w).
        augmentation: The change.

    Returns:
        uint8 (h, w), a new array.
    """
    height, width = image.shape
    if augmentation.flip:
        image = np.ascontiguousarray(image[:, ::-1])
    center = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, augmentation.rotation_deg, augmentation.scale)
    matrix[:, 2] += (augmentation.shift_xy[0] * width, augmentation.shift_xy[1] * height)
    moved = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return cv2.LUT(moved, _grey_table(augmentation)).astype(np.uint8, copy=False)


def augment_slices(
    images: NDArray[np.uint8],
    rng: np.random.Generator,
    ranges: AugmentationRanges | None = None,
) -> NDArray[np.uint8]:
    """Change each slice of a batch by its own draw.

    Args:
        images: uint8 (n, h, w).
        rng: Source of the draws.
        ranges: Limits of the draws.

    Returns:
        uint8 (n, h, w), a new array.
    """
    changed = np.empty_like(images)
    for index, image in enumerate(images):
        changed[index] = apply_augmentation(image, draw_augmentation(rng, ranges))
    return changed


def _grey_table(augmentation: Augmentation) -> NDArray[np.uint8]:
    """New grey level of each old one, uint8 (256,)."""
    levels = np.arange(256, dtype=np.float64)
    changed = (levels - 127.5) * augmentation.contrast + 127.5 + 255.0 * augmentation.brightness
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)

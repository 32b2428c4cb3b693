"""Random but replayable changes to a slice: draw the numbers first, then apply them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig

AUGMENT_STREAM: Final = 1
"""Separates the draws of augmentations from other draws of the same seed and epoch."""


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
        hue_deg: Turn of the hue in degrees; has an effect only where the three channels differ.
        log_saturation: Natural logarithm of the saturation factor; as for the hue.
    """

    rotation_deg: float = 10.0
    shift: float = 0.05
    log_scale: float = 0.1
    flip_probability: float = 0.5
    brightness: float = 0.08
    log_contrast: float = 0.15
    hue_deg: float = 10.0
    log_saturation: float = 0.15

    @classmethod
    def of(cls, config: RunConfig) -> AugmentationRanges:
        """Return the limits of a run config."""
        return cls(
            rotation_deg=config.augment_rotation_deg,
            shift=config.augment_shift,
            log_scale=config.augment_zoom,
            flip_probability=config.augment_flip,
            brightness=config.augment_brightness,
            log_contrast=config.augment_contrast,
            hue_deg=config.augment_hue_deg,
            log_saturation=config.augment_saturation,
        )


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One drawn change, enough to replay it on any slice.

    Attributes:
        rotation_deg: Counter-clockwise rotation in degrees.
        shift_xy: Translation to the right and down, as fractions of the side.
        scale: Zoom factor, > 0.
        flip: Whether left and right are exchanged, before the rotation.
        brightness: Added to the grey level, as a fraction of 255.
        contrast: Factor on the distance from mid-grey.
        hue_deg: Turn of the hue in degrees.
        saturation: Factor on the channels' distance from their mean.
    """

    rotation_deg: float = 0.0
    shift_xy: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 1.0
    hue_deg: float = 0.0
    saturation: float = 1.0


def draw_augmentation(
    rng: np.random.Generator, ranges: AugmentationRanges | None = None
) -> Augmentation:
    """Draw one change at random; the same generator state gives the same change."""
    ranges = ranges or AugmentationRanges()
    rotation, right, down, zoom, brightness, contrast = rng.uniform(-1.0, 1.0, 6).tolist()
    flip = bool(rng.random() < ranges.flip_probability)
    hue, saturation = rng.uniform(-1.0, 1.0, 2).tolist()
    return Augmentation(
        rotation_deg=rotation * ranges.rotation_deg,
        shift_xy=(right * ranges.shift, down * ranges.shift),
        scale=math.exp(zoom * ranges.log_scale),
        flip=flip,
        brightness=brightness * ranges.brightness,
        contrast=math.exp(contrast * ranges.log_contrast),
        hue_deg=hue * ranges.hue_deg,
        saturation=math.exp(saturation * ranges.log_saturation),
    )


def draws_of_batch(
    seed: tuple[int, ...], number: int, count: int, ranges: AugmentationRanges | None = None
) -> list[Augmentation]:
    """Draw the changes of one training batch.

    Args:
        seed: Result of `augmentation_seed`.
        number: Number of the batch in its epoch, from 0.
        count: Number of slices in the whole batch.
        ranges: Limits of the draws.
    """
    rng = np.random.default_rng((*seed, number))
    return [draw_augmentation(rng, ranges) for _ in range(count)]


def augmentation_seed(run_seed: int, epoch: int) -> tuple[int, ...]:
    """Seed of the changes in one epoch of a run, epochs counted from 0."""
    return (run_seed, epoch, AUGMENT_STREAM)


def apply_augmentation(image: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Apply a drawn change to one slice; pixels from outside are black.

    All channels move together. Hue and saturation are linear in the channels about their mean, so
    that grey stays unchanged and all channels have equal weight.

    Args:
        image: uint8 (h, w) or (3, h, w).
        augmentation: The change.

    Returns:
        uint8 of the same shape, a new array.
    """
    if image.ndim == 2:
        return _regraded(_moved(image, augmentation), augmentation)
    moved = np.stack([_moved(channel, augmentation) for channel in image])
    if augmentation.hue_deg != 0.0 or augmentation.saturation != 1.0:
        turned = cv2.transform(moved.transpose(1, 2, 0), color_matrix(augmentation))
        moved = np.ascontiguousarray(turned.transpose(2, 0, 1), dtype=np.uint8)
    rows = moved.reshape(-1, moved.shape[-1])
    return _regraded(rows, augmentation).reshape(moved.shape)


def apply_augmentations(
    images: NDArray[np.uint8], augmentations: Sequence[Augmentation]
) -> NDArray[np.uint8]:
    """Apply one drawn change to each slice of a batch.

    Args:
        images: uint8 (n, h, w) or (n, 3, h, w).
        augmentations: One per slice.

    Returns:
        uint8 of the same shape, a new array.

    Raises:
        ValueError: There are more or fewer changes than slices.
    """
    changed = np.empty_like(images)
    for index, (image, augmentation) in enumerate(zip(images, augmentations, strict=True)):
        changed[index] = apply_augmentation(image, augmentation)
    return changed


def move_mask(mask: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Move the labels of a slice as `apply_augmentation` moves its pixels; outside is 0.

    Args:
        mask: uint8 (h, w), labels; interpolated by the nearest pixel.
        augmentation: The change.

    Returns:
        uint8 (h, w), a new array.
    """
    return _moved(mask, augmentation, cv2.INTER_NEAREST)


def _moved(
    image: NDArray[np.uint8], augmentation: Augmentation, how: int = cv2.INTER_LINEAR
) -> NDArray[np.uint8]:
    """Flip, rotate, zoom and shift one channel, uint8 (h, w)."""
    height, width = image.shape
    if augmentation.flip:
        image = np.ascontiguousarray(image[:, ::-1])
    moved = cv2.warpAffine(
        image, pixel_matrix(augmentation, width, height), (width, height), flags=how
    )
    return moved.astype(np.uint8, copy=False)


def pixel_matrix(augmentation: Augmentation, width: int, height: int) -> NDArray[np.float64]:
    """Affine map of pixel centres, applied after the flip, float64 (2, 3)."""
    center = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, augmentation.rotation_deg, augmentation.scale)
    matrix[:, 2] += (augmentation.shift_xy[0] * width, augmentation.shift_xy[1] * height)
    return np.asarray(matrix, dtype=np.float64)


def color_matrix(augmentation: Augmentation) -> NDArray[np.float32]:
    """Turn about the grey axis and stretch away from it, float32 (3, 3).

    Saturation times the rotation about (1, 1, 1) (Rodrigues' formula), and the grey part kept
    (Haeberli 1993, "Matrix Operations for Image Processing", with equal weights: the channels are
    no colours).
    """
    angle = math.radians(augmentation.hue_deg)
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = math.cos(angle) * (np.eye(3) - grey) + math.sin(angle) * cross
    return (grey + augmentation.saturation * turn).astype(np.float32)


def _regraded(image: NDArray[np.uint8], augmentation: Augmentation) -> NDArray[np.uint8]:
    """Change brightness and contrast, uint8 (h, w)."""
    return cv2.LUT(image, grey_table(augmentation)).astype(np.uint8, copy=False)


def grey_table(augmentation: Augmentation) -> NDArray[np.uint8]:
    """New grey level of each old one, uint8 (256,)."""
    levels = np.arange(256, dtype=np.float64)
    changed = (levels - 127.5) * augmentation.contrast + 127.5 + 255.0 * augmentation.brightness
    return np.rint(np.clip(changed, 0, 255)).astype(np.uint8)

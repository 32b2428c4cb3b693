"""Cropping and resizing of axial slices."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)


def center_crop(slices: NDArray[Pixel], fraction: float) -> NDArray[Pixel]:
    """Keep the central square of each slice.

    The square's side is `fraction` of the shorter side, so that a later resize to a square does not
    distort slices of, for example, 512 x 519 pixels.

    Args:
        slices: (n, h, w), any dtype.
        fraction: In (0, 1].

    Returns:
        View (n, side, side) of `slices`.

    Raises:
        ValueError: `fraction` is outside (0, 1] or `slices` is not (n, h, w).
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"The crop must keep a fraction in (0, 1], but it is {fraction}.")
    if slices.ndim != 3:
        raise ValueError(f"Slices must be an (n, h, w) array, but the shape is {slices.shape}.")
    left, top, right, bottom = center_crop_xyxy(slices.shape[1:], fraction)
    return slices[:, top:bottom, left:right]


def center_crop_xyxy(shape: tuple[int, ...], fraction: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the central square in a slice of `shape` (h, w), in pixels."""
    height, width = shape
    side = max(1, round(min(height, width) * fraction))
    top, left = (height - side) // 2, (width - side) // 2
    return left, top, left + side, top + side


def resize_slices(slices: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize each slice to `size` x `size` pixels.

    Shrinking averages over the area of each new pixel, which keeps thin fracture lines as grey
    instead of dropping them; enlarging interpolates linearly.

    Args:
        slices: uint8 (n, h, w).
        size: Side of the result in pixels, >= 1.

    Returns:
        uint8 (n, size, size), contiguous.

    Raises:
        ValueError: `size` is below 1.
    """
    if size < 1:
        raise ValueError(f"Slices can be resized to 1 pixel or more, but the size is {size}.")
    resized = np.empty((len(slices), size, size), np.uint8)
    shrinks = min(slices.shape[1:]) >= size
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    for source, target in zip(slices, resized, strict=True):
        cv2.resize(source, (size, size), dst=target, interpolation=interpolation)
    return resized

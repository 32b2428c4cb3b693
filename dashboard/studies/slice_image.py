"""One CT slice as a picture: windowed, with square pixels, and its orientation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.preprocessing.intensity import window_to_uint8
from core.types import CTVolume, HuWindow


def display_image(
    volume: CTVolume, index: int, window: HuWindow, *, longer_side: int
) -> NDArray[np.uint8]:
    """Window a slice and scale it to square pixels.

    Args:
        volume: int16 HU, (z, y, x).
        index: Slice index, 0 the most cranial.
        window: HU window.
        longer_side: Of the picture, in pixels.

    Returns:
        uint8 (height, width), with square pixels.
    """
    grey = window_to_uint8(volume.hu[index], window)
    height_mm = grey.shape[0] * volume.spacing_mm[1]
    width_mm = grey.shape[1] * volume.spacing_mm[2]
    scale = longer_side / max(height_mm, width_mm)
    size = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    shrinks = size[0] < grey.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, size, interpolation=how), dtype=np.uint8)


def edge_letters(volume: CTVolume) -> tuple[str, str, str, str]:
    """Anatomical direction at the left, right, upper and lower edge of the picture: R L A P H F."""
    right = _letter(volume.affine[:3, 2])
    left = _letter(-volume.affine[:3, 2])
    lower = _letter(volume.affine[:3, 1])
    upper = _letter(-volume.affine[:3, 1])
    return left, right, upper, lower


def _letter(direction: NDArray[np.float64]) -> str:
    """The patient direction (LPS) nearest to a vector."""
    axis = int(np.abs(direction).argmax())
    return ("RL", "AP", "FH")[axis][int(direction[axis] > 0)]

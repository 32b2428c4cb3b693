"""From Hounsfield units to grey levels for networks and displays."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.types import HuWindow

_INT16 = np.iinfo(np.int16)


def window_to_uint8(hu: NDArray[np.int16], window: HuWindow) -> NDArray[np.uint8]:
    """Map HU to grey levels linearly between the ends of a window, clipped outside.

    The grey level is round(255 (hu - lower) / width): DICOM PS3.3 C.11.2.1.3.2, LINEAR_EXACT.

    Args:
        hu: int16 HU of any shape.
        window: The window; its lower end becomes 0, its upper end 255.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: `hu` is not int16.
    """
    if hu.dtype != np.int16:
        raise ValueError(f"HU must be int16 to be windowed, but the array is {hu.dtype}.")
    # A table of all 65,536 values costs one look-up per pixel.
    return _grey_levels(window.lower, window.width).take(hu.view(np.uint16))


@lru_cache(maxsize=16)
def _grey_levels(lower: float, width: float) -> NDArray[np.uint8]:
    """Grey level of every int16 value, indexed by its bits read as uint16; uint8 (65536,)."""
    values = np.arange(_INT16.min, _INT16.max + 1, dtype=np.float64)
    grey = np.rint(np.clip((values - lower) / width, 0.0, 1.0) * 255.0).astype(np.uint8)
    table = np.roll(grey, _INT16.min)
    table.setflags(write=False)
    return table

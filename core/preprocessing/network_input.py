"""The one path from HU to what a network sees, in training and in inference alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.types import HuWindow


def slices_for_network(
    hu: NDArray[np.int16], *, window: HuWindow, crop: float, size: int
) -> NDArray[np.uint8]:
    """Crop, window and resize axial slices.

    Args:
        hu: int16 HU, (n, h, w).
        window: HU window mapped to 0..255.
        crop: Central fraction of the shorter side that is kept, in (0, 1].
        size: Side of the result in pixels.

    Returns:
        uint8 (n, size, size).

    Raises:
        ValueError: An argument is outside its range, or `hu` is not int16 (n, h, w).
    """
    cropped = center_crop(hu, crop)
    prepared = np.empty((len(cropped), size, size), np.uint8)
    # Slice by slice the intermediate grey image stays in the processor's cache.
    for index in range(len(cropped)):
        grey = window_to_uint8(cropped[index : index + 1], window)
        prepared[index] = resize_slices(grey, size)[0]
    return prepared

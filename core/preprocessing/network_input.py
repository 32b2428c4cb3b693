"""The one path from HU to what a network sees, in training and in inference alike."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.config import ChannelMode
from core.constants import NETWORK_WINDOWS
from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.noise_reduction import reduce_noise
from core.preprocessing.spine_field import SpineField
from core.types import HuWindow, NoiseReduction

N_CHANNELS: Final = 3
_WINDOWS: Final = tuple(HuWindow(*window) for window in NETWORK_WINDOWS.values())


def slices_for_network(
    hu: NDArray[np.int16],
    *,
    window: HuWindow,
    crop: float,
    size: int,
    channels: ChannelMode = "grey",
    noise: NoiseReduction = NoiseReduction(),  # noqa: B008 - frozen
    field: SpineField | None = None,
) -> NDArray[np.uint8]:
    """Crop, window and resize axial slices, then reduce noise where that is asked for.

    Args:
        hu: int16 HU, (n, h, w).
        window: HU window mapped to 0..255; `NETWORK_WINDOWS` take its place for "windows".
        crop: Central fraction of the shorter side that is kept, in (0, 1].
        size: Side of the result in pixels.
        channels: What the network's three channels hold. Neighbours are stacked from the result
            by `stack_neighbours`, when a batch is made.
        noise: Applied to each resized grey image on its own.
        field: A square that follows the spine, one place for each of these slices; it takes the
            place of the central crop.

    Returns:
        uint8 (n, size, size) for "grey" and "neighbours", (n, 3, size, size) for "windows".

    Raises:
        ValueError: An argument is outside its range, `hu` is not int16 (n, h, w), or `field` has
            another number of slices.
    """
    if field is not None and len(field) != len(hu):
        raise ValueError(f"{len(hu)} slices need as many places, but the field has {len(field)}.")
    cropped = center_crop(hu, crop)
    windows = _WINDOWS if channels == "windows" else (window,)
    prepared = np.empty((len(cropped), len(windows), size, size), np.uint8)
    # Slice by slice the intermediate grey image stays in the processor's cache.
    for index in range(len(cropped)):
        seen = cropped[index] if field is None else field.cut(hu[index], index)
        for channel, one in enumerate(windows):
            grey = window_to_uint8(seen[np.newaxis], one)
            prepared[index, channel] = reduce_noise(resize_slices(grey, size)[0], noise)
    return prepared if channels == "windows" else prepared[:, 0]


def stack_neighbours(
    prepared: NDArray[np.uint8], indices: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Stack each slice with the one above and the one below; the end slices repeat themselves.

    Args:
        prepared: uint8 (n, s, s), all slices of one study in order.
        indices: int64 (m,), which slices; all of them if left out.

    Returns:
        uint8 (m, 3, s, s): slices i-1, i and i+1, the cranial one first; a new array.
    """
    middle = np.arange(len(prepared)) if indices is None else indices
    wanted = np.asarray(middle)[:, np.newaxis] + np.array([-1, 0, 1])
    return prepared[np.clip(wanted, 0, len(prepared) - 1)]


def window_squares(
    hu: NDArray[np.int16], field: SpineField, *, window: HuWindow, size: int
) -> NDArray[np.uint8]:
    """Cut the field's square out of every slice, window and resize it.

    Args:
        hu: int16 HU, (n, h, w).
        field: One place for each of these slices.
        window: HU window mapped to 0..255.
        size: Side of the result in pixels.

    Returns:
        uint8 (n, size, size).
    """
    prepared = np.empty((len(hu), size, size), np.uint8)
    for index in range(len(hu)):
        grey = window_to_uint8(field.cut(hu[index], index)[np.newaxis], window)
        prepared[index] = resize_slices(grey, size)[0]
    return prepared

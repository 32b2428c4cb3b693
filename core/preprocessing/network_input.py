"""From HU to network input, the same in training and inference."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.config import SlicePreparation
from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.noise_reduction import reduce_noise
from core.preprocessing.spine_field import SpineField

N_CHANNELS: Final = 3


def slices_for_network(
    hu: NDArray[np.int16], preparation: SlicePreparation, field: SpineField | None = None
) -> NDArray[np.uint8]:
    """Crop, window and resize axial slices, then reduce noise if configured.

    Args:
        hu: int16 HU, (n, h, w).
        preparation: The preparation. `stack_neighbours` adds neighbours when a batch is made; noise
            is reduced in each resized grey image separately.
        field: The square of `field_mm` that follows the spine, one position per slice.

    Returns:
        uint8 (n, size, size) for "grey" and "neighbours", (n, 3, size, size) for "windows".

    Raises:
        ValueError: `hu` is not int16 (n, h, w), or `field` has another number of slices or side
            than the preparation asks for.
    """
    if field is not None and len(field) != len(hu):
        raise ValueError(f"{len(hu)} slices need as many places, but the field has {len(field)}.")
    side_mm = None if field is None else field.side_mm
    if side_mm != preparation.field_mm:
        raise ValueError(
            f"The preparation asks for a field of {preparation.field_mm} mm, not {side_mm}."
        )
    cropped = center_crop(hu, preparation.crop)
    windows, size = preparation.windows, preparation.size
    prepared = np.empty((len(cropped), len(windows), size, size), np.uint8)
    # Slice by slice, so that the intermediate grey image stays in the processor's cache.
    for index in range(len(cropped)):
        seen = cropped[index] if field is None else field.cut(hu[index], index)
        for channel, window in enumerate(windows):
            grey = resize_slices(window_to_uint8(seen[np.newaxis], window), size)[0]
            prepared[index, channel] = reduce_noise(grey, preparation.noise)
    return prepared if len(windows) > 1 else prepared[:, 0]


def batch_for_network(
    hu: NDArray[np.int16],
    batch: slice,
    preparation: SlicePreparation,
    field: SpineField | None = None,
) -> NDArray[np.uint8]:
    """Prepare some slices of a series as a training batch holds them, neighbours stacked.

    Args:
        hu: int16 HU, (n, h, w), the whole series.
        batch: Range of m slices; its ends are in 0..n.
        preparation: The preparation.
        field: As for `slices_for_network`, of the whole series.

    Returns:
        uint8 (m, size, size) for "grey", else (m, 3, size, size).
    """
    if preparation.channels != "neighbours":
        return slices_for_network(hu[batch], preparation, None if field is None else field[batch])
    wider = slice(max(batch.start - 1, 0), batch.stop + 1)
    prepared = slices_for_network(hu[wider], preparation, None if field is None else field[wider])
    return stack_neighbours(prepared, np.arange(batch.start, batch.stop) - wider.start)


def stack_neighbours(
    prepared: NDArray[np.uint8], indices: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Stack each slice with the one above and the one below; the end slices repeat themselves.

    Args:
        prepared: uint8 (n, s, s), all slices of one study in order.
        indices: int64 (m,), indices of slices; None means all.

    Returns:
        uint8 (m, 3, s, s): slices i-1, i and i+1, the cranial one first; a new array.
    """
    middle = np.arange(len(prepared)) if indices is None else indices
    wanted = np.asarray(middle)[:, np.newaxis] + np.array([-1, 0, 1])
    return prepared[np.clip(wanted, 0, len(prepared) - 1)]

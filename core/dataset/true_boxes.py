"""True boxes on the slices of a volume, for viewer, 3D scene, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from core.dataset.slice_table import volume_file_numbers
from core.types import BoxPrediction, CTVolume, TableBox


def boxes_on_volume(rows: Iterable[TableBox], volume: CTVolume) -> list[BoxPrediction]:
    """Place a study's boxes from its table on the slices and pixels of `volume`.

    Args:
        rows: (slice_number, xyxy), as in `StudyRecord.boxes`.
        volume: The series; boxes on files that are not part of it are left out.

    Returns:
        The boxes in the order of `rows`.
    """
    return place_boxes(rows, volume_file_numbers(volume), volume.shift_px)


def place_boxes(
    rows: Iterable[TableBox],
    file_numbers: NDArray[np.int64],
    shift_px: NDArray[np.float64] | None,
) -> list[BoxPrediction]:
    """Do what `boxes_on_volume` does, without the volume.

    Args:
        rows: (slice_number, xyxy); a box belongs to the slice of exactly that number.
        file_numbers: int64 (n,), file number of each slice.
        shift_px: float64 (n, 2), as `CTVolume.shift_px`.
    """
    place = {number: index for index, number in enumerate(file_numbers.tolist())}
    found = ((place.get(int(number)), xyxy) for number, xyxy in rows)
    return [move_box(xyxy, index, shift_px) for index, xyxy in found if index is not None]


def move_box(
    xyxy: Sequence[float], slice_index: int, shift_px: NDArray[np.float64] | None
) -> BoxPrediction:
    """Move a box on a file's pixels as its slice was moved if the gantry was tilted.

    Args:
        xyxy: Box in pixels of the file.
        slice_index: Index of its slice.
        shift_px: float64 (n, 2), as `CTVolume.shift_px`.
    """
    right, down = (0.0, 0.0) if shift_px is None else shift_px[slice_index].tolist()
    left, top, right_edge, bottom = (float(edge) for edge in xyxy)
    return BoxPrediction((left + right, top + down, right_edge + right, bottom + down), slice_index)


def by_slice(boxes: Iterable[BoxPrediction]) -> dict[int, NDArray[np.float64]]:
    """Group boxes by slice index, xyxy float64 (k, 4) each."""
    found: dict[int, list[tuple[float, ...]]] = {}
    for box in boxes:
        found.setdefault(box.slice_index, []).append(box.xyxy)
    return {index: np.array(rows, np.float64) for index, rows in found.items()}

"""True boxes on the slices of a volume, for viewer, 3D scene, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from core.dataset.slice_table import volume_file_numbers
from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.types import BoxPrediction, CTVolume, TableBox


def boxes_on_volume(rows: Iterable[TableBox], volume: CTVolume) -> list[BoxPrediction]:
    """Place a study's boxes from its table on the slices and pixels of `volume`.

    Args:
        rows: (slice_number, xyxy), as in `StudyRecord.boxes`.
        volume: The series; boxes on files that are not part of it are left out.

    Returns:
        The boxes in the order of `rows`; by slice where the files are not the volume's slices.
    """
    return place_boxes(rows, volume_file_numbers(volume), BoxMapping.of(volume))


def place_boxes(
    rows: Iterable[TableBox], file_numbers: NDArray[np.int64], mapping: BoxMapping
) -> list[BoxPrediction]:
    """Do what `boxes_on_volume` does, without the volume.

    Args:
        rows: (slice_number, xyxy); a box belongs to the file of exactly that number.
        file_numbers: int64 (n_files,), number of each file.
        mapping: From the files to the volume.
    """
    place = {number: index for index, number in enumerate(file_numbers.tolist())}
    found = ((place.get(int(number)), xyxy) for number, xyxy in rows)
    known = [(index, xyxy) for index, xyxy in found if index is not None]
    index = np.array([file for file, _ in known], np.int64)
    xyxy = np.array([edges for _, edges in known], np.float64).reshape(-1, 4)
    placed = mapping.to_volume(PlaneBoxes(index, xyxy, np.ones(len(index))))
    return [
        BoxPrediction((left, top, right, bottom), slice_index)
        for slice_index, (left, top, right, bottom) in zip(
            placed.index.tolist(), placed.xyxy.tolist(), strict=True
        )
    ]


def by_slice(boxes: Iterable[BoxPrediction]) -> dict[int, NDArray[np.float64]]:
    """Group boxes by slice index, xyxy float64 (k, 4) each."""
    found: dict[int, list[tuple[float, ...]]] = {}
    for box in boxes:
        found.setdefault(box.slice_index, []).append(box.xyxy)
    return {index: np.array(rows, np.float64) for index, rows in found.items()}

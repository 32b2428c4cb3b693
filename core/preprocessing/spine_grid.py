"""A grid of even voxels along the spine, and the way from a series to it and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.config import SlicePreparation
from core.constants import N_VERTEBRAE
from core.preprocessing.network_input import slices_for_network
from core.preprocessing.spine_field import SpineField, spine_field_of
from core.types import CTVolume, FloatArray

OTHER_VERTEBRA: Final = N_VERTEBRAE + 1
"""Label of every vertebra below C7."""
MAX_PLANES: Final = 600
"""Longest grid: 1.2 m at 2 mm; one wrong position in a header must not fill the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class SpineGrid:
    """Where the voxels of a grid lie in a series.

    A plane of the grid is the field's square at that height, resized to `size` pixels; planes
    are `step_mm` apart, the first at the most cranial slice.

    Attributes:
        field: The square along the spine in each slice.
        z_mm: float64 (n_slices,), as in `CTVolume`.
        size: Rows and columns of a plane.
        shape: (rows, columns) of a slice.
    """

    field: SpineField
    z_mm: FloatArray
    size: int
    shape: tuple[int, int]

    @property
    def step_mm(self) -> float:
        """Side of a voxel in mm."""
        return self.field.side_mm / self.size

    @property
    def planes_mm(self) -> FloatArray:
        """float64 (n_planes,), heights of the planes, decreasing as `z_mm` does."""
        length = abs(float(self.z_mm[0] - self.z_mm[-1]))
        count = min(int(length / self.step_mm) + 1, MAX_PLANES)
        return self.z_mm[0] - self.step_mm * np.arange(count)

    def from_slices(self, squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Average the squares of the slices to the planes of the grid.

        Args:
            squares: uint8 (n_slices, size, size).

        Returns:
            uint8 (n_planes, size, size).
        """
        mixed = np.tensordot(self._weights(), squares.astype(np.float32), axes=1)
        return np.rint(mixed).astype(np.uint8)

    def labels_from_slices(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The label with the largest share of each voxel of the grid.

        Args:
            mask: uint8 (n_slices, rows, columns), labels as in `load_vertebra_mask`.

        Returns:
            uint8 (n_planes, size, size): 0 background, 1..7 C1..C7, `OTHER_VERTEBRA`.
        """
        wanted = np.minimum(mask, OTHER_VERTEBRA)
        size, classes = self.size, OTHER_VERTEBRA + 1
        shares = np.zeros((len(mask), classes, size, size), np.float32)
        for index, labels in enumerate(wanted):
            if not labels.any():
                continue
            square = np.maximum(self.field.cut(labels.astype(np.int16), index), 0)
            for label in np.unique(square[square > 0]):
                own = (square == label).astype(np.float32)
                shares[index, label] = cv2.resize(own, (size, size), interpolation=cv2.INTER_AREA)
        mixed = np.tensordot(self._weights(), shares, axes=1)
        mixed[:, 0] = 1.0 - mixed[:, 1:].sum(axis=1)
        return mixed.argmax(axis=1).astype(np.uint8)

    def slice_labels(self, probs: NDArray[np.floating[Any]], index: int) -> NDArray[np.uint8]:
        """Labels of one slice of the series, from the grid's probabilities.

        Args:
            probs: float (classes, n_planes, size, size).
            index: The slice.

        Returns:
            uint8 (rows, columns); 0 outside the square.
        """
        above, share = self._place(index, probs.shape[1])
        below = min(above + 1, probs.shape[1] - 1)
        plane = (1 - share) * probs[:, above] + share * probs[:, below]
        labels = np.zeros(self.shape, np.uint8)
        if plane[1:].max(initial=0.0) <= 0:
            return labels
        left, top, right, bottom = self.field.box_xyxy(index)
        wide = np.ascontiguousarray(plane.transpose(1, 2, 0), dtype=np.float32)
        scaled = cv2.resize(wide, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        found = scaled.argmax(axis=2).astype(np.uint8)
        rows, columns = self.shape
        inside = found[max(-top, 0) : rows - top, max(-left, 0) : columns - left]
        y, x = max(top, 0), max(left, 0)
        labels[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        return labels

    def volume_labels(self, probs: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Labels of every slice, uint8 (n_slices, rows, columns); as `slice_labels`."""
        labels = np.empty((len(self.z_mm), *self.shape), np.uint8)
        for index in range(len(labels)):
            labels[index] = self.slice_labels(probs, index)
        return labels

    def on_slices(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Interpolate values of the planes, float (n_planes, k), at the slices: (n_slices, k)."""
        places = [self._place(index, len(values)) for index in range(len(self.z_mm))]
        above = np.array([place for place, _ in places])
        share = np.array([share for _, share in places], np.float32)[:, None]
        below = np.minimum(above + 1, len(values) - 1)
        return ((1 - share) * values[above] + share * values[below]).astype(np.float32)

    def _place(self, index: int, planes: int) -> tuple[int, float]:
        """The plane at or above a slice, and the share of the next one."""
        at = abs(float(self.z_mm[0] - self.z_mm[index])) / self.step_mm
        at = min(max(at, 0.0), planes - 1)
        return int(at), at - int(at)

    def _weights(self) -> NDArray[np.float32]:
        """Share of each slice in each plane, float32 (n_planes, n_slices); rows sum to 1.

        A triangle as wide as the larger of voxel and slice distance: linear interpolation of thick
        slices, an average of thin ones.
        """
        gaps = np.abs(np.diff(self.z_mm))
        around = np.maximum(np.append(gaps, 0.0), np.insert(gaps, 0, 0.0))
        reach = np.maximum(around, self.step_mm)
        weights = 1.0 - np.abs(self.planes_mm[:, None] - self.z_mm) / reach
        weights = np.maximum(weights, 0.0)
        sums = weights.sum(axis=1, keepdims=True)
        return (weights / np.maximum(sums, 1e-9)).astype(np.float32)


def spine_grid_of(
    volume: CTVolume, preparation: SlicePreparation
) -> tuple[SpineGrid, NDArray[np.uint8]]:
    """The grid of a series and its grey levels.

    Args:
        volume: The series.
        preparation: Window, side of the squares and their pixels; `field_mm` is set.

    Returns:
        The grid, and uint8 (n_planes, size, size).

    Raises:
        ValueError: The preparation names no `field_mm`.
    """
    field = spine_field_of(volume, preparation.field_mm)
    if field is None:
        raise ValueError("A grid follows the spine; its field_mm is not set.")
    rows, columns = volume.hu.shape[1:]
    grid = SpineGrid(field, volume.z_mm, preparation.size, (rows, columns))
    return grid, grid.from_slices(slices_for_network(volume.hu, preparation, field))

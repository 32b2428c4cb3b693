"""The scanner's voxel grid in LPS mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.data.phantom.sdf import Field


@dataclass(frozen=True, slots=True)
class Grid:
    """Axial slices, the first the most cranial.

    Attributes:
        n_slices: Number of slices.
        matrix: Rows and columns of a slice.
        pixel_mm: In-plane spacing.
        slice_mm: Distance of neighbouring slices, and their thickness.
        corner: LPS mm (x, y, z) of the centre of the first voxel of the first slice.
    """

    n_slices: int
    matrix: int
    pixel_mm: float
    slice_mm: float
    corner: tuple[float, float, float]

    def x(self) -> Field:
        """LPS x of each column, shape (matrix,)."""
        return (self.corner[0] + self.pixel_mm * np.arange(self.matrix)).astype(np.float32)

    def y(self) -> Field:
        """LPS y of each row, shape (matrix,)."""
        return (self.corner[1] + self.pixel_mm * np.arange(self.matrix)).astype(np.float32)

    def z(self) -> Field:
        """LPS z of each slice, shape (n_slices,), decreasing."""
        return (self.corner[2] - self.slice_mm * np.arange(self.n_slices)).astype(np.float32)

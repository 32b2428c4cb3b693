"""The scanner's voxel grid in LPS mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.sdf import Field


@dataclass(frozen=True, slots=True)
class Grid:
    """Parallel slices, the first the most cranial.

    Attributes:
        n_slices: Number of slices.
        matrix: Rows of a slice, and columns if `columns` is 0.
        pixel_mm: In-plane spacing.
        slice_mm: Distance of neighbouring slices along z.
        corner: LPS mm (x, y, z) of the centre of the first voxel of the first slice.
        profile_mm: Slice thickness if it is not the slice distance.
        heights_mm: z of every slice if their distance is uneven.
        columns: Columns of a slice if it is not square.
        tilt_deg: Gantry tilt; positive moves the lower edge of the image towards the feet.
    """

    n_slices: int
    matrix: int
    pixel_mm: float
    slice_mm: float
    corner: tuple[float, float, float]
    profile_mm: float | None = None
    heights_mm: tuple[float, ...] = ()
    columns: int = 0
    tilt_deg: float = 0.0

    @property
    def thickness_mm(self) -> float:
        """Slice thickness."""
        return self.profile_mm or self.slice_mm

    def x(self) -> Field:
        """LPS x of each column, shape (columns,)."""
        count = self.columns or self.matrix
        return (self.corner[0] + self.pixel_mm * np.arange(count)).astype(np.float32)

    def y(self) -> Field:
        """LPS y of each row of slices without tilt, shape (matrix,)."""
        return (self.corner[1] + self.pixel_mm * np.arange(self.matrix)).astype(np.float32)

    def z(self) -> Field:
        """LPS z of the first voxel of each slice, shape (n_slices,), decreasing."""
        if self.heights_mm:
            return np.array(self.heights_mm, dtype=np.float32)
        return (self.corner[2] - self.slice_mm * np.arange(self.n_slices)).astype(np.float32)

    def column_direction(self) -> NDArray[np.float64]:
        """LPS unit vector from a row to the next, (3,)."""
        tilt = np.radians(self.tilt_deg)
        return np.array([0.0, np.cos(tilt), -np.sin(tilt)])

    def affine(self) -> NDArray[np.float64]:
        """Voxel index (z, y, x, 1) to LPS mm, float64 (4, 4); sheared if the gantry is tilted."""
        affine = np.eye(4)
        affine[:3, 0] = (0.0, 0.0, -self.slice_mm)
        affine[:3, 1] = self.column_direction() * self.pixel_mm
        affine[:3, 2] = (self.pixel_mm, 0.0, 0.0)
        affine[:3, 3] = self.corner
        return affine

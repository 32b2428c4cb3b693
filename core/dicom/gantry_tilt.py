"""Series scanned with a tilted gantry: parallel slices that do not stand above each other.

The table moves along the patient while the slices lean, so each slice starts a little further
along its own plane than the one before. Moving every slice back within its plane gives a
rectangular grid; nothing is interpolated between slices, so the true distances stay.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.constants import HU_AIR

MIN_TILT_DEGREES: Final = 0.5
"""Below this the slices count as standing above each other."""


def tilt_degrees(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Return the angle between the way from the first slice to the last and the slice normal.

    Args:
        positions: float64 (n, 3), ImagePositionPatient of each slice in order, LPS mm.
        normal: Unit normal of the slices, (3,).
    """
    travel = positions[-1] - positions[0]
    along = float(travel @ normal)
    across = float(np.linalg.norm(travel - along * normal))
    return float(np.degrees(np.arctan2(across, abs(along)))) if along else 0.0


def leaning_mm(
    positions: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far each slice starts from the middle of all, along its own plane.

    Taking the middle halves what is moved out of the picture at either end.

    Args:
        positions: float64 (n, 3), LPS mm.
        row: Unit direction of a row, (3,): x grows along it.
        column: Unit direction of a column, (3,): y grows along it.

    Returns:
        float64 (n, 2), mm along (x, y).
    """
    along = positions @ np.stack([row, column], axis=1)
    return along - (along.min(axis=0) + along.max(axis=0)) / 2


def shift_plane(hu: NDArray[np.int16], shift_px: NDArray[np.float64]) -> NDArray[np.int16]:
    """Move a slice within its plane by linear interpolation.

    Two weighted sums are exact, where OpenCV's warpAffine rounds a shift to 1/32 pixel: 30 HU at
    the edge of a bone.

    Args:
        hu: int16 HU, (y, x).
        shift_px: (x, y), pixels to the right and down; fractions allowed.

    Returns:
        int16 HU, (y, x), C-contiguous; air (-1024) where the picture was moved away.
    """
    moved: NDArray[Any] = _shift_rows(hu.astype(np.float32), float(shift_px[1]))
    moved = _shift_rows(np.ascontiguousarray(moved.T), float(shift_px[0]))
    return np.rint(np.ascontiguousarray(moved.T)).astype(np.int16)


def _shift_rows(plane: NDArray[np.float32], down: float) -> NDArray[np.float32]:
    whole = int(np.floor(down))
    share = down - whole
    near = _rolled(plane, whole)
    if share == 0:
        return near
    mixed = cv2.addWeighted(near, 1 - share, _rolled(plane, whole + 1), share, 0)
    return np.asarray(mixed, dtype=np.float32)


def _rolled(plane: NDArray[np.float32], down: int) -> NDArray[np.float32]:
    moved = np.full_like(plane, HU_AIR)
    rows = len(plane)
    if abs(down) < rows:
        moved[max(down, 0) : rows + min(down, 0)] = plane[max(-down, 0) : rows - max(down, 0)]
    return moved

"""The orientation that every volume is brought to, and the way there from the axes of its files.

Rows run to the patient's left, columns to the back, slices from the head to the feet, whatever the
patient's position and the plane that the files are stored in. Of an oblique series the nearest axes
are taken: voxels are permuted and mirrored, never interpolated, and the affine keeps the rest.
"""

from __future__ import annotations

import itertools
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.types import AxisOrder

Voxel = TypeVar("Voxel", bound=np.generic)

_DIRECTIONS: Final = np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Directions of z, y and x in LPS, one per row."""
_TIE: Final = 1e-6
_PLANES: Final = ("axial", "coronal", "sagittal")


def nearest_axes(affine: NDArray[np.float64]) -> AxisOrder:
    """Find the order and the direction in which the axes of the files are to be taken.

    Of two orders that fit equally well, at exactly 45°, the one with fewer changes is taken.

    Args:
        affine: float64 (4, 4), (file, row, column, 1) to LPS mm; no axis of length 0.
    """
    steps = affine[:3, :3]
    along = _DIRECTIONS @ (steps / np.linalg.norm(steps, axis=0))
    best, fit = (0, 1, 2), -np.inf
    # In lexical order: the identity comes first and keeps its place in a tie.
    for order in itertools.permutations(range(3)):
        found = float(np.abs(along[range(3), order]).sum())
        if found > fit + _TIE:
            best, fit = order, found
    signs = along[range(3), best] < 0
    return AxisOrder((best[0], best[1], best[2]), (bool(signs[0]), bool(signs[1]), bool(signs[2])))


def stored_plane(axes: AxisOrder) -> str:
    """Name the plane of the files: "axial", "coronal" or "sagittal"."""
    return _PLANES[axes.permutation.index(0)]


def to_volume_order(stored: NDArray[Voxel], axes: AxisOrder) -> NDArray[Voxel]:
    """View an array (file, row, column) as (z, y, x)."""
    return np.transpose(stored, axes.permutation)[_mirrored(axes)]


def to_file_order(voxels: NDArray[Voxel], axes: AxisOrder) -> NDArray[Voxel]:
    """View an array (z, y, x) as (file, row, column), the inverse of `to_volume_order`."""
    return np.transpose(voxels[_mirrored(axes)], _inverse(axes))


def volume_points(
    points: NDArray[np.float64], shape: tuple[int, int, int], axes: AxisOrder
) -> NDArray[np.float64]:
    """Map voxel indices of the files to those of the volume.

    Args:
        points: float64 (n, 3), (file, row, column), whole numbers at the middle of a voxel.
        shape: (z, y, x) of the volume.
        axes: From `nearest_axes`.

    Returns:
        float64 (n, 3), (z, y, x).
    """
    return _flipped(points[:, axes.permutation], np.array(shape) - 1.0, axes)


def file_points(
    points: NDArray[np.float64], shape: tuple[int, int, int], axes: AxisOrder
) -> NDArray[np.float64]:
    """Map voxel indices of the volume to those of the files, the inverse of `volume_points`."""
    return _flipped(points, np.array(shape) - 1.0, axes)[:, _inverse(axes)]


def volume_edges(
    edges: NDArray[np.float64], shape: tuple[int, int, int], axes: AxisOrder
) -> NDArray[np.float64]:
    """Map cuboids of voxels of the files to the volume.

    Args:
        edges: float64 (n, 2, 3), lower and upper (file, row, column); 0 is the outer edge of voxel
            0, so that a single voxel is 1 wide.
        shape: (z, y, x) of the volume.
        axes: From `nearest_axes`.

    Returns:
        float64 (n, 2, 3), lower and upper (z, y, x).
    """
    return np.sort(_flipped(edges[..., axes.permutation], np.array(shape, float), axes), axis=1)


def file_edges(
    edges: NDArray[np.float64], shape: tuple[int, int, int], axes: AxisOrder
) -> NDArray[np.float64]:
    """Map cuboids of voxels of the volume to the files, the inverse of `volume_edges`."""
    return np.sort(_flipped(edges, np.array(shape, float), axes)[..., _inverse(axes)], axis=1)


def volume_affine(
    affine: NDArray[np.float64], shape: tuple[int, int, int], axes: AxisOrder
) -> NDArray[np.float64]:
    """Give the affine of (z, y, x, 1) for that of (file, row, column, 1); both float64 (4, 4)."""
    corner = file_points(np.zeros((1, 3)), shape, axes)[0]
    turned = affine.copy()
    turned[:3, :3] = affine[:3, axes.permutation] * np.where(axes.flips, -1.0, 1.0)
    turned[:3, 3] = affine[:3, :3] @ corner + affine[:3, 3]
    return turned


def _flipped(
    values: NDArray[np.float64], last: NDArray[np.float64], axes: AxisOrder
) -> NDArray[np.float64]:
    return np.where(axes.flips, last - values, values)


def _mirrored(axes: AxisOrder) -> tuple[Any, ...]:
    return tuple(slice(None, None, -1 if flip else 1) for flip in axes.flips)


def _inverse(axes: AxisOrder) -> list[int]:
    return np.argsort(axes.permutation).tolist()

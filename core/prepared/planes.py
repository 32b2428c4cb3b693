"""A study small enough to send whole: what the sagittal and coronal planes are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from core.cache.entries import fetch_entry
from core.cache.keys import entry_key
from core.types import CTVolume, Store

Voxel = TypeVar("Voxel", bound=np.generic)

PLANES_SIDE: Final = 256
"""Voxels along each axis at most: 256³ int16 are 32 MiB."""


@dataclass(frozen=True, slots=True, eq=False)
class PlanesGrid:
    """Where the voxels of a reduced volume lie; evenly spaced even where the slices are not.

    Attributes:
        shape: (z, y, x), each at most `PLANES_SIDE`.
        spacing_mm: (z, y, x).
        top_mm: Upper edge of the uppermost row, on the scale of `CTVolume.z_mm`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    top_mm: float


def planes_grid(volume: CTVolume) -> PlanesGrid:
    """Lay the grid that covers `volume` from the first slice's upper face to the last's lower."""
    edges = _slice_edges(volume)
    n_slices, rows, columns = volume.hu.shape
    shape = (min(n_slices, PLANES_SIDE), min(rows, PLANES_SIDE), min(columns, PLANES_SIDE))
    _, row_mm, column_mm = volume.spacing_mm
    return PlanesGrid(
        shape=shape,
        spacing_mm=(
            float(edges[0] - edges[-1]) / shape[0],
            rows * row_mm / shape[1],
            columns * column_mm / shape[2],
        ),
        top_mm=float(edges[0]),
    )


def reduce_volume(volume: CTVolume) -> NDArray[np.int16]:
    """Average the voxels of a volume over the cells of its `planes_grid`.

    Returns:
        int16 HU (z, y, x), each axis at most `PLANES_SIDE`.
    """
    grid = planes_grid(volume)
    in_plane = np.stack([_shrunk(one, grid, cv2.INTER_AREA) for one in volume.hu])
    weights = _overlaps(_slice_edges(volume), grid)
    reduced = np.empty(grid.shape, np.int16)
    # Row by row: the float copy of a whole study would be as large as the study itself.
    for row in range(grid.shape[1]):
        reduced[:, row] = np.rint(weights @ in_plane[:, row].astype(np.float32))
    return reduced


def reduce_labels(labels: NDArray[np.uint8], volume: CTVolume) -> NDArray[np.uint8]:
    """Take the label nearest to the middle of each cell of the `planes_grid` of `volume`.

    Args:
        labels: uint8 (z, y, x) on the grid of `volume`.
        volume: Gives the positions of the slices.
    """
    grid = planes_grid(volume)
    middles = grid.top_mm - (np.arange(grid.shape[0]) + 0.5) * grid.spacing_mm[0]
    nearest = np.abs(middles[:, None] - volume.z_mm[None, :]).argmin(axis=1)
    return np.stack([_shrunk(labels[i], grid, cv2.INTER_NEAREST_EXACT) for i in nearest])


def load_planes(volume: CTVolume, fingerprint: str, store: Store | None) -> NDArray[np.int16]:
    """Give `reduce_volume` of a study, from the store where it was made before.

    Args:
        volume: The study.
        fingerprint: sha256 of its files' contents.
        store: Where the planes are kept; None keeps nothing.

    Raises:
        StorageError: The store cannot be written.
    """
    if store is None:
        return reduce_volume(volume)
    key = entry_key({"planes": fingerprint, "side": PLANES_SIDE})
    entry = fetch_entry(store, "volumes", key, lambda: ({"hu": reduce_volume(volume)}, {}))
    return entry.arrays["hu"]


def _shrunk(one: NDArray[Voxel], grid: PlanesGrid, interpolation: int) -> NDArray[Voxel]:
    size = grid.shape[2], grid.shape[1]
    plain = cast("NDArray[Any]", one)
    return np.asarray(cv2.resize(plain, size, interpolation=interpolation), dtype=one.dtype)


def _slice_edges(volume: CTVolume) -> NDArray[np.float64]:
    """Faces between the slices in mm, decreasing, float64 (n + 1,): half-way to the neighbours."""
    z_mm = volume.z_mm
    if len(z_mm) == 1:
        half = volume.spacing_mm[0] / 2
        return np.array([z_mm[0] + half, z_mm[0] - half])
    between = (z_mm[:-1] + z_mm[1:]) / 2
    first, last = 2 * z_mm[0] - between[0], 2 * z_mm[-1] - between[-1]
    return np.concatenate(([first], between, [last]))


def _overlaps(edges: NDArray[np.float64], grid: PlanesGrid) -> scipy.sparse.csr_matrix:
    """Share of each slice in each row of the grid, (rows, n_slices), float32; rows sum to 1."""
    tops = grid.top_mm - np.arange(grid.shape[0]) * grid.spacing_mm[0]
    upper = np.minimum(tops[:, None], edges[None, :-1])
    lower = np.maximum(tops[:, None] - grid.spacing_mm[0], edges[None, 1:])
    shared = np.maximum(upper - lower, 0.0)
    return scipy.sparse.csr_matrix((shared / shared.sum(axis=1, keepdims=True)).astype(np.float32))

"""Bone by HU, and the path of the spine through it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.types import CTVolume
from core.visualization.surfaces import Surface, SurfaceSettings, mask_surface

BONE_HU: Final = 220.0
"""HU from which a voxel counts as bone, between contrast-free soft tissue and spongy bone."""
REST_SETTINGS: Final = SurfaceSettings(
    smoothing_mm=0.9, grid_mm=2.0, triangles=20_000, fill_holes=False, least_mm3=400.0
)
_CORE_MM: Final = 18.0
"""Radius over which bone is counted to find the spine: a body and its arch fill it, a jaw does
not."""
_ENOUGH: Final = 0.3
"""Share of bone that is as good as more, lest dense teeth outweigh a vertebra."""
_MOVE_COST: Final = 0.05
_STEP_MM: Final = 4.0
_REST_STEP_MM: Final = 1.4


def bone_mask(hu: NDArray[np.int16], bone_hu: float = BONE_HU) -> NDArray[np.bool_]:
    """bool (z, y, x): voxels at or above `bone_hu`, single noisy voxels taken out.

    Args:
        hu: int16 HU (z, y, x).
        bone_hu: Bone begins here.
    """
    mask = hu >= bone_hu
    for i, plane in enumerate(mask):
        neighbours = ndimage.uniform_filter(plane.astype(np.float32), 3, mode="constant") * 9
        mask[i] = plane & (neighbours > 3.5)
    return mask


def spine_path(
    bone: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Where the spine runs, slice by slice.

    On a coarse grid the path with the most bone within `_CORE_MM` of it that moves at most one
    step a slice, by dynamic programming. Jaw and shoulders hold as much bone in some slices, but
    not along a path through the whole neck.

    Args:
        bone: bool (z, y, x).
        spacing_mm: (z, y, x).

    Returns:
        float64 (n_slices, 2), row and column in voxels.
    """
    factors = [max(round(_STEP_MM / step), 1) for step in spacing_mm[1:]]
    coarse = np.stack([_shrunk(plane, factors) for plane in bone])
    steps = [step * factor for step, factor in zip(spacing_mm[1:], factors, strict=True)]
    sigma = [0.0, *(_CORE_MM / 2 / step for step in steps)]
    density = ndimage.gaussian_filter(coarse, sigma, mode="constant").clip(max=_ENOUGH)
    best = density[0]
    history: list[NDArray[np.float32]] = []
    for plane in density[1:]:
        history.append(best)
        moved = ndimage.maximum_filter(best, 3, mode="constant", cval=-np.inf) - _MOVE_COST
        best = np.maximum(best, moved) + plane
    place = np.array(np.unravel_index(int(best.argmax()), best.shape))
    places = [place]
    for reached in reversed(history):
        place = _best_near(reached, place)
        places.append(place)
    path = np.array(places[::-1], dtype=np.float64)
    smooth = ndimage.gaussian_filter1d(path, max(8.0 / spacing_mm[0], 0.5), axis=0, mode="nearest")
    return (smooth + 0.5) * np.array(factors) - 0.5


def rest_surface(volume: CTVolume, labels: NDArray[np.uint8]) -> Surface | None:
    """Surface of the bone that belongs to no vertebra, coarse on purpose; None without any.

    Args:
        volume: The series.
        labels: uint8 (z, y, x), above 0 in vertebrae.
    """
    factors = [max(round(_REST_STEP_MM / step), 1) for step in volume.spacing_mm]
    fz, fy, fx = factors
    # Every fz-th slice: the rest of the bone is a backdrop, and slices are what costs time.
    hu, near = volume.hu[::fz], labels[::fz] > 0
    share = np.stack([_shrunk(plane >= BONE_HU, [fy, fx]) for plane in hu])
    taken = np.stack([_shrunk(plane, [fy, fx]) for plane in near]) > 0
    if taken.any():
        taken = np.asarray(ndimage.binary_dilation(taken, iterations=1), np.bool_)
    start = np.array([0.0, (fy - 1) / 2, (fx - 1) / 2])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    affine[:3, :3] = affine[:3, :3] * np.array(factors, dtype=np.float64)
    return mask_surface((share >= 0.5) & ~taken, affine, REST_SETTINGS, name="other bone")


def _shrunk(plane: NDArray[np.bool_], factors: list[int]) -> NDArray[np.float32]:
    """Share of True in blocks of `factors` pixels; what fills no block is left out."""
    fy, fx = factors
    rows, columns = max(plane.shape[0] // fy, 1), max(plane.shape[1] // fx, 1)
    if plane.shape[0] < fy or plane.shape[1] < fx:
        return np.full((rows, columns), float(plane.mean()), np.float32)
    whole = plane[: rows * fy, : columns * fx].astype(np.float32)
    # By whole factors this is the mean of each block, and much faster than numpy's.
    mean = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(mean, np.float32)


def _best_near(reached: NDArray[np.float32], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """The best cell among a cell and its eight neighbours, which cost a move."""
    low = np.maximum(place - 1, 0)
    window = reached[low[0] : place[0] + 2, low[1] : place[1] + 2] - np.float32(_MOVE_COST)
    window[tuple(place - low)] += np.float32(_MOVE_COST)
    return low + np.array(np.unravel_index(int(window.argmax()), window.shape))

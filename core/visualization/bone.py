"""Bone by HU, and the surface of the bone outside the vertebrae."""

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
_REST_STEP_MM: Final = 1.4


def bone_mask(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """bool (z, y, x): voxels at or above `BONE_HU`, single noisy voxels taken out.

    Args:
        hu: int16 HU (z, y, x).
    """
    mask = hu >= BONE_HU
    for i, plane in enumerate(mask):
        neighbours = ndimage.uniform_filter(plane.astype(np.float32), 3, mode="constant") * 9
        mask[i] = plane & (neighbours > 3.5)
    return mask


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

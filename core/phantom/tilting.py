"""Gantry tilt: resample upright voxels onto tilted slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.phantom.grid import Grid
from core.phantom.painting import PaintedVolume
from core.phantom.sdf import Field


def upright(grid: Grid) -> Grid:
    """Return the upright grid from which a tilted one is resampled; itself without tilt."""
    if not grid.tilt_deg:
        return grid
    extra = _extra_slices(grid)
    x, y, z = _level_corner(grid)
    return replace(
        grid,
        tilt_deg=0.0,
        n_slices=grid.n_slices + 2 * extra,
        corner=(x, y, z + extra * grid.slice_mm),
    )


def lean(volume: PaintedVolume, grid: Grid) -> PaintedVolume:
    """Resample a volume on `upright(grid)` onto the tilted slices of `grid`.

    Returns:
        The volume; its grid has slices through the same middles, without tilt.
    """
    tilt, n = np.radians(grid.tilt_deg), grid.n_slices
    away = np.arange(grid.matrix) - (grid.matrix - 1) / 2
    rows = away * np.cos(tilt) + (grid.matrix - 1) / 2
    down = away * (grid.pixel_mm * np.sin(tilt) / grid.slice_mm) + _extra_slices(grid)
    z, y = np.floor(down).astype(int), np.clip(np.floor(rows).astype(int), 0, grid.matrix - 2)
    fz, fy = ((v - w)[:, None].astype(np.float32) for v, w in ((down, z), (rows, y)))
    hu: Field = np.empty((n, *volume.hu.shape[1:]), dtype=np.float32)
    mask = np.empty(hu.shape, dtype=np.uint8)
    clefts = np.empty_like(mask)
    near_z, near_y = np.rint(down).astype(int), np.clip(np.rint(rows).astype(int), 0, None)
    for i in range(n):
        above = (1 - fy) * volume.hu[z + i, y] + fy * volume.hu[z + i, y + 1]
        below = (1 - fy) * volume.hu[z + i + 1, y] + fy * volume.hu[z + i + 1, y + 1]
        hu[i] = (1 - fz) * above + fz * below
        mask[i] = volume.mask[near_z + i, near_y]
        clefts[i] = volume.clefts[near_z + i, near_y]
    level = replace(grid, tilt_deg=0.0, corner=_level_corner(grid))
    return PaintedVolume(level, hu, mask, clefts)


def _extra_slices(grid: Grid) -> int:
    half = (grid.matrix - 1) / 2 * grid.pixel_mm
    return int(np.ceil(half * abs(np.sin(np.radians(grid.tilt_deg))) / grid.slice_mm)) + 1


def _level_corner(grid: Grid) -> tuple[float, float, float]:
    """First voxel of upright slices through the middles of the tilted ones."""
    half = (grid.matrix - 1) / 2 * grid.pixel_mm
    tilt = np.radians(grid.tilt_deg)
    x, y, z = grid.corner
    return x, y - half * (1 - float(np.cos(tilt))), z - half * float(np.sin(tilt))

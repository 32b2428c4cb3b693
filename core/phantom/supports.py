"""What lies on a neck or under a head: collars, boards, tables, pillows, wires and tubes."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.phantom.grid import Grid
from core.phantom.sdf import Field

HU_FOAM, HU_AIR = -930.0, -1000.0
FREE_HU: Final = -700.0
"""Voxels above it hold the body, which nothing here replaces."""


def paint_support(hu: Field, grid: Grid, kind: str, rng: np.random.Generator) -> None:
    """Paint a board, a table or a pillow under the head, in place.

    Args:
        hu: float32 HU (z, y, x).
        grid: Voxel grid.
        kind: "board", "table", "pillow" or "none".
        rng: Random generator.
    """
    if kind == "none":
        return
    x, y = grid.x()[None, :], grid.y()[:, None]
    low = float(grid.y().max()) - float(rng.uniform(2, 45))
    sag = float(rng.uniform(0.0005, 0.004)) if kind != "board" else 0.0
    tilt = float(rng.normal(0, 0.03))
    depth = y - np.float32(low) + np.float32(sag) * x * x + np.float32(tilt) * x
    inside, shell_mm, shell_hu = {
        "board": (-820.0, float(rng.uniform(1.5, 4)), float(rng.uniform(-150, 250))),
        "table": (-880.0, float(rng.uniform(1, 2.5)), float(rng.uniform(-200, 150))),
        "pillow": (float(rng.uniform(-980, -860)), 0.6, -700.0),
    }[kind]
    thick = float(rng.uniform(12, 60))
    px = np.float32(grid.pixel_mm)
    core = np.clip(np.float32(thick / 2) - np.abs(depth - np.float32(thick / 2)), 0, 1)
    rim = np.minimum(np.abs(depth), np.abs(depth - np.float32(thick)))
    shell = np.clip(np.float32(0.5) + (np.float32(shell_mm / 2) - rim) / px, 0, 1)
    _fill_free(hu, core, inside)
    _fill_free(hu, shell, shell_hu)


def paint_collar(hu: Field, skin: Field, grid: Grid, rng: np.random.Generator) -> None:
    """Paint a cervical collar: a plastic shell over foam, with openings, anywhere along the neck.

    Args:
        hu: float32 HU (z, y, x), changed in place.
        skin: Signed distance in mm to the skin, negative inside, of the same shape.
        grid: Voxel grid.
        rng: Random generator.
    """
    z = grid.z()
    middle, half = float(rng.uniform(z.min(), z.max())), float(rng.uniform(25, 80))
    gap_mm, thick = float(rng.uniform(3, 14)), float(rng.uniform(1.5, 4))
    plastic = float(rng.uniform(-150, 220))
    opening, wide = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.2, 0.9))
    x, y = grid.x()[None, :], grid.y()[:, None]
    angle = np.arctan2(x - x.mean(), y - y.mean())
    closed = np.cos(angle - np.float32(opening)) < np.float32(np.cos(wide))
    px = np.float32(grid.pixel_mm)
    for k in np.flatnonzero(np.abs(z - middle) < half):
        away = skin[k] - np.float32(gap_mm)
        free = hu[k] < FREE_HU
        foam = (skin[k] > 0) & (away < 0) & free & closed
        hu[k][foam] = HU_FOAM
        shell = np.clip(np.float32(0.5) + (np.float32(thick / 2) - np.abs(away)) / px, 0, 1)
        hu[k] += shell * free * closed * (np.float32(plastic) - hu[k])


def paint_lines(hu: Field, skin: Field, grid: Grid, rng: np.random.Generator) -> None:
    """Lay wires and tubes on the skin, running along the neck, in place.

    Args:
        hu: float32 HU (z, y, x).
        skin: Signed distance in mm to the skin, negative inside, of the same shape.
        grid: Voxel grid.
        rng: Random generator.
    """
    x, y = grid.x()[None, :], grid.y()[:, None]
    for _ in range(int(rng.integers(1, 5))):
        angle, drift = float(rng.uniform(0, 2 * np.pi)), float(rng.normal(0, 0.012))
        radius = float(rng.uniform(0.5, 3.5))
        metal = rng.uniform() < 0.3 and radius < 1.5
        density = float(rng.uniform(1500, 6000)) if metal else float(rng.uniform(-100, 350))
        hollow = radius > 2
        for k, z in enumerate(grid.z()):
            turn = angle + drift * float(z)
            way = np.array((np.sin(turn), np.cos(turn)))
            at = _on_skin(skin[k], grid, way, radius)
            if at is None:
                continue
            far = np.hypot(x - np.float32(at[0]), y - np.float32(at[1])) - np.float32(radius)
            if hollow:
                far = np.abs(far + np.float32(0.7)) - np.float32(0.7)
            cover = np.clip(np.float32(0.5) - far / np.float32(grid.pixel_mm), 0, 1)
            cover *= hu[k] < FREE_HU
            hu[k] += cover * (np.float32(density) - hu[k])


def _on_skin(skin: Field, grid: Grid, way: np.ndarray, radius: float) -> tuple[float, float] | None:
    """(x, y) in mm where a ray from the image's middle leaves the skin; None if it never does."""
    steps = np.arange(0, grid.matrix // 2 - 1)
    columns = np.clip((grid.matrix / 2 + way[0] * steps).astype(int), 0, skin.shape[1] - 1)
    rows = np.clip((grid.matrix / 2 + way[1] * steps).astype(int), 0, skin.shape[0] - 1)
    outside = np.flatnonzero(skin[rows, columns] > radius)
    if not outside.size or outside[0] == 0:
        return None
    k = outside[0]
    return float(grid.x()[columns[k]]), float(grid.y()[rows[k]])


def _fill_free(hu: Field, share: Field, density: float) -> None:
    """Fill a plane's share of every slice where there is no body."""
    rows = np.flatnonzero(share.any(axis=1))
    if not rows.size:
        return
    at = slice(int(rows[0]), int(rows[-1]) + 1)
    part = hu[:, at]
    part += share[at] * (part < FREE_HU) * (np.float32(density) - part)

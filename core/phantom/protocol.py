"""Scan ranges and resolutions: a small plain set, or a spread like the real set's."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.grid import Grid

STEPS_MM: Final = (0.6, 0.7, 0.8, 1.0, 1.0, 1.25, 1.25, 1.5, 2.0, 2.5, 2.63)
"""Slice distances of varied studies. The real set's go down to 0.31 mm and up to 1,082 slices;
these limits keep a study from taking minutes."""

MIN_SLICES, MAX_SLICES = 69, 240


def plain_grid(anatomy: Anatomy, rng: np.random.Generator, matrix: int) -> Grid:
    """About 70 to 130 slices from the skull base to T1 or T2."""
    top = _z(anatomy, "C1") + float(rng.uniform(16, 34))
    bottom = _z(anatomy, "T1") - float(rng.uniform(2, 22))
    slice_mm = float(rng.choice((1.5, 2.0, 2.0, 2.5)))
    corner, pixel = _field(float(rng.uniform(172, 225)), matrix, rng)
    n = int((top - bottom) / slice_mm) + 1
    profile = slice_mm * 1.25 if rng.uniform() < 0.2 else None
    return Grid(n, matrix, pixel, slice_mm, (*corner, top), profile)


def varied_grid(anatomy: Anatomy, rng: np.random.Generator, matrix: int) -> Grid:
    """69 to 240 slices of 0.6 to 2.63 mm from the orbits or lower down to T1 or T3."""
    slice_mm = float(rng.choice(STEPS_MM))
    top = _z(anatomy, "C1") + float(rng.uniform(16, 50))
    bottom = _z(anatomy, "T1") - float(rng.uniform(0, 38))
    n = int(np.clip((top - bottom) / slice_mm + 1, MIN_SLICES, MAX_SLICES))
    corner, pixel = _field(float(rng.uniform(150, 260)), matrix, rng)
    overlap = float(rng.choice((1.0, 1.0, 1.25, 2.0))) if slice_mm <= 1.25 else 1.0
    return Grid(n, matrix, pixel, slice_mm, (*corner, top), slice_mm * overlap)


def _field(
    field_mm: float, matrix: int, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """(x, y) of the first voxel, and the pixel's edge; the spine is behind the middle."""
    x = -field_mm / 2 + float(rng.normal(0, 4))
    y = -field_mm / 2 - 12 + float(rng.normal(0, 5))
    return (x, y), field_mm / matrix


def _z(anatomy: Anatomy, level: str) -> float:
    return float(anatomy.poses[level].origin[2])

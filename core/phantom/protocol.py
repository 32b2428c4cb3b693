"""Scan ranges and resolutions: a small plain set, or a spread like the real set's."""

from __future__ import annotations

from typing import Final

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.grid import Grid
from core.phantom.recipe import Protocol, Range

STEPS_MM: Final = (0.6, 0.7, 0.8, 1.0, 1.0, 1.25, 1.25, 1.5, 2.0, 2.5, 2.63)
"""Slice distances of varied studies. The real set's go down to 0.31 mm and up to 1,082 slices;
these limits keep a study from taking minutes."""

MIN_SLICES, MAX_SLICES = 69, 240
MIN_FREE: Final = 12
"""Fewest slices of a scan that begins and ends anywhere."""


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


def free_grid(
    anatomy: Anatomy,
    rng: np.random.Generator,
    matrix: int,
    protocol: Protocol,
    shown: tuple[str, ...] = (),
) -> Grid:
    """A scan that begins and ends anywhere between the skull and T3.

    Args:
        anatomy: The person.
        rng: Random generator.
        matrix: Rows of most studies; others have up to three times as many.
        protocol: Distributions.
        shown: Levels of which at least one lies in the scan.
    """
    small = min(matrix / 256, 1.0)
    factors, shares = zip(*protocol.sizes, strict=True)
    rows = round(matrix * float(rng.choice(factors, p=np.asarray(shares) / sum(shares))))
    pixel = np.clip(
        protocol.field_mm.draw(rng) / rows,
        protocol.pixel_mm.low / small, protocol.pixel_mm.high / small,
    )  # fmt: skip
    slice_mm = protocol.slice_mm.draw(rng)
    most = int(protocol.megavoxels * 1e6 * small**2 / rows**2)
    cover = protocol.cover_mm.draw(rng)
    n = int(np.clip(cover / slice_mm, min(MIN_FREE, most), most))
    top = _top(anatomy, n * slice_mm, shown, rng)
    x, y = (-pixel * rows / 2 + protocol.off_center_mm.draw(rng) for _ in range(2))
    corner = (float(x), float(y) - 12 + 0.06 * float(pixel) * rows, top)
    return Grid(n, rows, float(pixel), slice_mm, corner, slice_mm * protocol.overlap.draw(rng))


def _top(
    anatomy: Anatomy, length_mm: float, shown: tuple[str, ...], rng: np.random.Generator
) -> float:
    """Height at which a scan begins, so that it shows bone and one of the given levels."""
    first, last = _z(anatomy, "C1") + 45, _z(anatomy, "T2") - 15
    span = Range(last + length_mm / 2, first)
    if shown:
        z = _z(anatomy, str(rng.choice(shown)))
        return z + float(rng.uniform(0.12, 0.88)) * length_mm
    if span.low >= span.high:
        return first + float(rng.uniform(-25, 25))
    return span.draw(rng)


def _field(
    field_mm: float, matrix: int, rng: np.random.Generator
) -> tuple[tuple[float, float], float]:
    """(x, y) of the first voxel, and the pixel's edge; the spine is behind the middle."""
    x = -field_mm / 2 + float(rng.normal(0, 4))
    y = -field_mm / 2 - 12 + float(rng.normal(0, 5))
    return (x, y), field_mm / matrix


def _z(anatomy: Anatomy, level: str) -> float:
    return float(anatomy.poses[level].origin[2])

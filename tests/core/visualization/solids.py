"""Volumes whose shapes are known by formula."""

from __future__ import annotations

import numpy as np

from core.types import CTVolume


def affine(spacing, origin=(0.0, 0.0, 0.0), *, flipped=False):
    """(z, y, x) indices to LPS mm; slice 0 on top; `flipped` also mirrors the columns."""
    z, y, x = spacing
    matrix = np.zeros((4, 4))
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (
        (0, 0, -z),
        (0, y, 0),
        (-x if flipped else x, 0, 0),
    )
    matrix[:3, 3], matrix[3, 3] = origin, 1
    return matrix


def grid(shape, spacing):
    """Distances from the middle of the volume in mm, three arrays (z, y, x)."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def ball(shape, spacing, radius):
    z, y, x = grid(shape, spacing)
    return z**2 + y**2 + x**2 <= radius**2


def volume_of(hu, spacing=(1.0, 1.0, 1.0), **options):
    hu = np.asarray(hu, np.int16)
    return CTVolume(
        hu=hu,
        spacing_mm=spacing,
        affine=affine(spacing, **options),
        z_mm=-np.arange(len(hu)) * spacing[0],
        instance_numbers=tuple(range(1, len(hu) + 1)),
        source_files=(),
        study_uid="1.2",
        series_uid="1.2.3",
    )

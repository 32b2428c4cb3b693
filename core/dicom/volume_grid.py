"""The grid of a volume in the orientation that everything downstream expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.dicom.geometry import Placement
from core.dicom.orientation import volume_affine
from core.types import CTVolume


@dataclass(frozen=True, slots=True, eq=False)
class VolumeGrid:
    """Where the voxels of a volume lie.

    Attributes:
        shape: (z, y, x).
        spacing_mm: (z, y, x).
        affine: float64 (4, 4), as `CTVolume.affine`.
        z_mm: float64 (n_slices,), as `CTVolume.z_mm`.
        thickness_mm: Slice thickness; the spacing where no slice has a file of its own.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    z_mm: NDArray[np.float64]
    thickness_mm: float | None


def volume_grid(placement: Placement) -> VolumeGrid:
    """Turn the grid of the files into that of the volume."""
    axes, first = placement.axes, placement.headers[0]
    z, y, x = axes.permutation
    stored = len(placement.headers), first.rows, first.columns
    shape = stored[z], stored[y], stored[x]
    steps = placement.spacing_mm
    spacing = steps[z], steps[y], steps[x]
    affine = placement.affine
    if not axes.is_identity:
        affine = volume_affine(affine, shape, axes)
    if axes.keeps_slices:
        return VolumeGrid(shape, spacing, affine, placement.z_mm, first.thickness)
    down = affine[:3, 0]
    step = float(np.linalg.norm(down))
    z_mm = -(affine[:3, 3] @ down / step + step * np.arange(shape[0]))
    return VolumeGrid(shape, spacing, affine, z_mm, spacing[0])


def placed_volume(
    placement: Placement, grid: VolumeGrid, hu: NDArray[np.int16], notes: Sequence[str]
) -> CTVolume:
    """Join voxels and their place.

    Args:
        placement: Of the files.
        grid: From `volume_grid`.
        hu: int16 HU, (z, y, x), on `grid`.
        notes: Sentences for the user; empty ones are left out.
    """
    first = placement.headers[0]
    return CTVolume(
        hu=hu,
        spacing_mm=grid.spacing_mm,
        affine=grid.affine,
        z_mm=grid.z_mm,
        instance_numbers=tuple(header.instance_number for header in placement.headers),
        source_files=tuple(header.path for header in placement.headers),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        slice_thickness_mm=grid.thickness_mm,
        notes=tuple(note for note in notes if note),
        shift_px=placement.shift_px,
        axes=placement.axes,
    )

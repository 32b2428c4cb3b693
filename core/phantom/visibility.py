"""How well a fracture shows in a scan: contrast-to-noise ratio, gap in pixels, and strata.

The contrast of a voxel is the change in HU that the cracks cause after the slice profile and the
kernel; the noise is the kernel's in soft tissue of the neck. A fracture's ratio is that of its more
visible quarter: the 75th percentile over the voxels that its cracks cross.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from core.phantom.kernels import Kernel, blend_slices, sharpen
from core.phantom.truth import MIN_VOXELS

if TYPE_CHECKING:
    from core.phantom.grid import Grid
    from core.phantom.sdf import Field

QUANTILE: Final = 0.75
MARGIN_PX: Final = 6
DISPLACED_MM: Final = 1.0
HARD_CNR, FAINT_CNR = 4.0, 7.0
NARROW_PX: Final = 1.0

Spot = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Sight:
    """The scan in which fractures are to be seen.

    Attributes:
        grid: Voxel grid.
        kernel: Sharpness and noise.
    """

    grid: Grid
    kernel: Kernel


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a scan shows of one fracture.

    Attributes:
        share: Share of the cracks' contrast that is kept, so that the ratio is the one wanted.
        cnr: Contrast-to-noise ratio; 0 if nothing shows.
        voxels: bool for each voxel of the vertebra, True where its fracture shows.
    """

    share: float
    cnr: float
    voxels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Visibility:
    """How well one fracture shows, as written next to the truth.

    Attributes:
        vertebra: C1..C7.
        stratum: Its stratum, see `stratum_of`.
        cnr: Contrast-to-noise ratio.
        gap_px: Width of the widest crack in pixels.
        slices: Number of slices that show it.
    """

    vertebra: str
    stratum: str
    cnr: float
    gap_px: float
    slices: int


def stratum_of(displacement_mm: float, cnr: float, gap_px: float) -> str:
    """Name the stratum of a fracture by what the scan shows of it.

    Args:
        displacement_mm: Largest displacement, loss of height or slip.
        cnr: Contrast-to-noise ratio.
        gap_px: Width of the widest crack in pixels.
    """
    if displacement_mm >= DISPLACED_MM:
        return "displaced"
    if cnr < HARD_CNR:
        return "hard"
    return "faint" if cnr < FAINT_CNR or gap_px < NARROW_PX else "clear"


def show(
    spot: Spot, change: Field, crossed: NDArray[np.bool_], sight: Sight, wanted: float | None
) -> Shown:
    """Measure a fracture's contrast, and fill its cracks until it is the one wanted.

    Args:
        spot: Indices (z, y, x) of the vertebra's voxels.
        change: HU that the cracks change in those voxels, float32 (n,).
        crossed: Which of them the cracks cross, bool (n,).
        sight: The scan.
        wanted: Contrast-to-noise ratio; None leaves the cracks as they are. One that the empty
            crack does not reach is not reached.
    """
    nothing = Shown(0.0, 0.0, np.zeros(crossed.shape, dtype=bool))
    if not crossed.any():
        return nothing
    contrast = np.abs(_after_kernel(spot, change, sight)) / np.float32(sight.kernel.noise_hu)
    cnr = float(np.quantile(contrast[crossed], QUANTILE))
    share = 1.0 if wanted is None else min(wanted / max(cnr, 1e-6), 1.0)
    voxels = crossed & (contrast * np.float32(share) >= 1)
    if not shown_slices(spot[0][voxels]).size:
        return nothing
    return Shown(share, cnr * share, voxels)


def shown_slices(z: NDArray[np.intp]) -> NDArray[np.intp]:
    """Slices with enough of a fracture's voxels for a box, from the slice index of each voxel."""
    slices, counts = np.unique(z, return_counts=True)
    return slices[counts >= MIN_VOXELS]


def _after_kernel(spot: Spot, change: Field, sight: Sight) -> Field:
    """The change in HU after slice profile and kernel, at the same voxels."""
    grid = sight.grid
    low = [int(index.min()) - MARGIN_PX * (k > 0) for k, index in enumerate(spot)]
    size = [int(index.max()) + 1 + MARGIN_PX * (k > 0) - low[k] for k, index in enumerate(spot)]
    local = tuple(index - start for index, start in zip(spot, low, strict=True))
    volume = np.zeros(size, dtype=np.float32)
    volume[local] = change
    extra = grid.thickness_mm / grid.slice_mm - 1
    return sharpen(blend_slices(volume, extra), sight.kernel, grid.pixel_mm)[local]

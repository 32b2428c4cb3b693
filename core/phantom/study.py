"""One synthetic study: a person, fractures if any, a scanner, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.constants import HU_AIR, MASK_LABELS, VERTEBRAE
from core.phantom.anatomy import Anatomy, sample_anatomy
from core.phantom.fractures import Fracture
from core.phantom.grid import Grid
from core.phantom.painting import PaintedVolume, paint_disc, paint_vertebra
from core.phantom.prevalence import sample_fractures
from core.phantom.protocol import plain_grid, varied_grid
from core.phantom.quirks import CLEAN, Quirks, adapt_grid, plan_quirks
from core.phantom.scanner import Scanner, acquire, sample_scanner
from core.phantom.sizes import LEVELS
from core.phantom.soft_tissue import paint_soft_tissue
from core.phantom.tilting import lean, upright
from core.phantom.truth import boxes_of

LABELS = MASK_LABELS | {"T1": 8, "T2": 9, "T3": 10}


@dataclass(frozen=True, slots=True, eq=False)
class PhantomStudy:
    """A study and its truth.

    Attributes:
        hu: int16 HU (z, y, x), slice 0 the most cranial.
        mask: uint8 (z, y, x); 1..7 = C1..C7, 8..10 = T1..T3.
        clefts: uint8 (z, y, x), label of the vertebra in voxels that a fracture line crosses.
        grid: Voxel grid in LPS mm.
        fractures: Fractures.
        scanner: Scanner settings.
        quirks: Deliberate irregularities.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    clefts: NDArray[np.uint8]
    grid: Grid
    fractures: tuple[Fracture, ...]
    scanner: Scanner
    quirks: Quirks = CLEAN

    @property
    def labels(self) -> tuple[int, ...]:
        """y_j for C1..C7, each 0 or 1."""
        broken = {f.vertebra for f in self.fractures}
        return tuple(int(name in broken) for name in VERTEBRAE)

    def boxes(self) -> list[tuple[int, tuple[int, int, int, int]]]:
        """(slice index, xyxy) around the fracture lines, at most one per slice, as in RSNA."""
        return boxes_of(self.clefts, self.grid.pixel_mm)


def make_study(
    seed: int, index: int, *, matrix: int = 256, rsna_like: bool = False
) -> PhantomStudy:
    """Make study `index` of cohort `seed`; the same arguments give the same voxels.

    Args:
        seed: Cohort seed.
        index: Study within the cohort, >= 0.
        matrix: Rows and columns of a slice.
        rsna_like: Draw spacing and coverage as widely as the real set's, and include its quirks.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    anatomy = sample_anatomy(rng)
    fractures = sample_fractures(rng, anatomy)
    if not rsna_like:
        return render_study(anatomy, fractures, rng, matrix=matrix)
    quirks = plan_quirks(seed, index)
    grid = adapt_grid(varied_grid(anatomy, rng, matrix), quirks)
    return replace(render_study(anatomy, fractures, rng, grid=grid), quirks=quirks)


def render_study(
    anatomy: Anatomy,
    fractures: tuple[Fracture, ...],
    rng: np.random.Generator,
    *,
    matrix: int = 256,
    grid: Grid | None = None,
    scanner: Scanner | None = None,
) -> PhantomStudy:
    """Scan a given person with given fractures.

    Args:
        anatomy: The person.
        fractures: At most one per vertebra.
        rng: Random generator.
        matrix: Rows and columns of a slice, if no grid is given.
        grid: Voxels; drawn by default.
        scanner: Kernel, metal and motion; drawn by default.
    """
    grid = grid or plain_grid(anatomy, rng, matrix)
    scanner = scanner or sample_scanner(rng)
    square = replace(grid, columns=0)
    volume = _painted(upright(square), anatomy, fractures, rng)
    if square.tilt_deg:
        volume = lean(volume, square)
    image = acquire(volume.hu, volume.grid, anatomy, scanner, rng)
    more = {-1: (0, max(grid.columns - grid.matrix, 0))}
    return PhantomStudy(
        hu=np.pad(image, more, constant_values=HU_AIR),
        mask=np.pad(volume.mask, more),
        clefts=np.pad(volume.clefts, more),
        grid=grid,
        fractures=fractures,
        scanner=scanner,
    )


def _painted(
    grid: Grid, anatomy: Anatomy, fractures: tuple[Fracture, ...], rng: np.random.Generator
) -> PaintedVolume:
    broken = {f.vertebra: f for f in fractures}
    swellings = [
        (float(anatomy.poses[f.vertebra].origin[2]), f.swelling_mm)
        for f in fractures
        if f.swelling_mm
    ]
    # Swelling without a fracture: a haematoma of another cause, a confounder.
    if rng.uniform() < 0.06:
        swellings.append((float(rng.uniform(-30, 30)), float(rng.uniform(1, 4))))
    hu = paint_soft_tissue(grid, anatomy, swellings, rng)
    empty = np.zeros(hu.shape, dtype=np.uint8)
    volume = PaintedVolume(grid, hu, empty, empty.copy())
    for upper, lower in pairwise(LEVELS[1:]):
        paint_disc(volume, upper, lower, anatomy)
    for name in reversed(LEVELS):
        paint_vertebra(volume, name, LABELS[name], anatomy, broken.get(name))
    return volume

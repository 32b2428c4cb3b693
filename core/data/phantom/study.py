"""One synthetic study: a person, perhaps fractures, a scanner, and the truth about all three."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.constants import MASK_LABELS, VERTEBRAE
from core.data.phantom.anatomy import LEVELS, Anatomy, sample_anatomy
from core.data.phantom.fracture_kinds import sample_fracture
from core.data.phantom.fractures import Fracture
from core.data.phantom.grid import Grid
from core.data.phantom.scanner import acquire, paint_disc, paint_vertebra, sample_scanner
from core.data.phantom.soft_tissue import paint_soft_tissue

PATIENT_PREVALENCE = 961 / 2019
VERTEBRA_COUNTS = (146, 285, 73, 108, 162, 277, 393)
"""Positives of RSNA 2022, patients and C1..C7; the synthetic cohorts follow them."""

LABELS = MASK_LABELS | {"T1": 8, "T2": 9}
BOX_MARGIN_MM = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class PhantomStudy:
    """A study and its truth.

    Attributes:
        hu: int16 HU (z, y, x), slice 0 the most cranial.
        mask: uint8 (z, y, x); 1..7 = C1..C7, 8 and 9 = T1 and T2.
        clefts: uint8 (z, y, x), label of the vertebra in voxels that a fracture line crosses.
        grid: Its voxels in LPS mm.
        fractures: What is broken.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    clefts: NDArray[np.uint8]
    grid: Grid
    fractures: tuple[Fracture, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """y_j for C1..C7, each 0 or 1."""
        broken = {f.vertebra for f in self.fractures}
        return tuple(int(name in broken) for name in VERTEBRAE)

    def boxes(self) -> list[tuple[int, tuple[int, int, int, int]]]:
        """(slice index, xyxy) around the fracture lines, at most one a slice, as in RSNA."""
        margin = round(BOX_MARGIN_MM / self.grid.pixel_mm)
        found: list[tuple[int, tuple[int, int, int, int]]] = []
        for i in np.flatnonzero(np.count_nonzero(self.clefts, axis=(1, 2)) >= 4):
            ys, xs = np.nonzero(self.clefts[i])
            limit = self.grid.matrix
            x0, y0 = max(int(xs.min()) - margin, 0), max(int(ys.min()) - margin, 0)
            x1 = min(int(xs.max()) + 1 + margin, limit)
            y1 = min(int(ys.max()) + 1 + margin, limit)
            found.append((int(i), (x0, y0, x1, y1)))
        return found


def make_study(seed: int, index: int, *, matrix: int = 256) -> PhantomStudy:
    """Make study `index` of cohort `seed`; the same pair gives the same voxels.

    Args:
        seed: Cohort seed.
        index: Study within the cohort, >= 0.
        matrix: Rows and columns of a slice.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    anatomy = sample_anatomy(rng)
    fractures = _sample_fractures(rng)
    return render_study(anatomy, fractures, rng, matrix=matrix)


def render_study(
    anatomy: Anatomy,
    fractures: tuple[Fracture, ...],
    rng: np.random.Generator,
    *,
    matrix: int = 256,
) -> PhantomStudy:
    """Scan a given person with given fractures."""
    grid = _sample_grid(anatomy, rng, matrix)
    broken = {f.vertebra: f for f in fractures}
    swellings = [
        (float(anatomy.poses[f.vertebra].origin[2]), f.swelling_mm)
        for f in fractures
        if f.swelling_mm
    ]
    if rng.uniform() < 0.06:
        swellings.append((float(rng.uniform(-30, 30)), float(rng.uniform(1, 4))))
    hu = paint_soft_tissue(grid, anatomy, swellings, rng)
    for upper, lower in pairwise(LEVELS[1:]):
        paint_disc(hu, upper, lower, grid, anatomy)
    mask = np.zeros(hu.shape, dtype=np.uint8)
    clefts = np.zeros_like(mask)
    for name in reversed(LEVELS):
        paint_vertebra(hu, mask, clefts, name, LABELS[name], grid, anatomy, broken.get(name), rng)
    image = acquire(hu, sample_scanner(rng), rng)
    return PhantomStudy(image, mask, clefts, grid, fractures)


def _sample_fractures(rng: np.random.Generator) -> tuple[Fracture, ...]:
    """None in about half of the studies, else one to three, C7, C2 and C6 the most often."""
    if rng.uniform() >= PATIENT_PREVALENCE:
        return ()
    count = int(rng.choice((1, 2, 3), p=(0.62, 0.26, 0.12)))
    weights = np.asarray(VERTEBRA_COUNTS) / sum(VERTEBRA_COUNTS)
    names = rng.choice(VERTEBRAE, size=count, replace=False, p=weights)
    return tuple(sample_fracture(str(name), rng) for name in sorted(names))


def _sample_grid(anatomy: Anatomy, rng: np.random.Generator, matrix: int) -> Grid:
    levels = anatomy.level_z()
    top = float(levels[0]) + float(rng.uniform(16, 34))
    bottom = float(levels[-2]) - float(rng.uniform(2, 22))
    slice_mm = float(rng.choice((1.5, 2.0, 2.0, 2.5)))
    field_mm = float(rng.uniform(172, 225))
    pixel = field_mm / matrix
    n = int((top - bottom) / slice_mm) + 1
    x0 = -field_mm / 2 + float(rng.normal(0, 4))
    y0 = -field_mm / 2 - 12 + float(rng.normal(0, 5))
    return Grid(n, matrix, pixel, slice_mm, (x0, y0, top))

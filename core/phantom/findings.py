"""Old findings next to the vertebrae: ossified ligaments, ossicles, pannus, cervical ribs.

Ossified posterior ligament after Matsunaga & Sakou 2012 (Spine 37:E309-E314: 2 to 4 %), diffuse
hyperostosis after Weinfeld et al. 1997 (Skeletal Radiol 26:222-225), cervical ribs after Spadlinski
et al. 2016 (BioMed Res Int 2016:8034613: about 1 %). They are painted before the vertebrae, which
cover what lies within them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, bone_shade, plain
from core.phantom.grid import Grid
from core.phantom.recipe import BoneMix
from core.phantom.sdf import Field, Vec3
from core.phantom.sizes import LEVELS

OLD_YEARS: Final = 40.0


def paint_findings(
    hu: Field, grid: Grid, anatomy: Anatomy, mix: BoneMix, rng: np.random.Generator
) -> None:
    """Paint a person's findings, in place.

    Args:
        hu: float32 HU (z, y, x) without vertebrae.
        grid: Voxel grid.
        anatomy: The person.
        mix: Shares of people with each finding.
        rng: Random generator.
    """
    brush, draw = Brush(hu, grid), rng.uniform(size=4)
    old = anatomy.age_years > OLD_YEARS
    if old and draw[0] < mix.ossified:
        _ossify(brush, anatomy, rng)
    if old and draw[1] < mix.pannus:
        _pannus(brush, anatomy, rng)
    if draw[2] < mix.ossicles:
        _ossicle(brush, anatomy, rng)
    if draw[3] < mix.ribs:
        for side in (-1, 1):
            _cervical_rib(brush, anatomy, side, float(rng.uniform(12, 45)))


def _at(anatomy: Anatomy, name: str, u: float, a: float, h: float) -> list[float]:
    return anatomy.poses[name].world((u, a, h), anatomy.scale).tolist()


def _ossify(brush: Brush, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """A flowing band of bone in front of or behind two to four bodies."""
    behind = bool(rng.uniform() < 0.4)
    count = int(rng.integers(2, 5))
    first = int(rng.integers(1, 8 - count))
    knots, radii = [], []
    for name in LEVELS[first : first + count]:
        size = anatomy.shapes[name].size
        off = float(rng.normal(0, 1.5))
        for h in (0.3, -0.3):
            a = size.depth / 2 + 1.0 if behind else -size.depth / 2 - 1.5
            knots.append(_at(anatomy, name, off, a, h * size.height))
            radii.append(float(rng.uniform(0.9, 2.0 if behind else 3.2)))
    brush.rod(knots, radii, bone_shade(0.8 * anatomy.cortex_hu, 450.0, 1.0))


def _pannus(brush: Brush, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Tissue between the dens and the cord, partly calcified."""
    at = _at(anatomy, "C2", float(rng.normal(0, 1)), 6.5, float(rng.uniform(14, 24)))
    radii = (float(rng.uniform(4, 8)), float(rng.uniform(1.5, 4)), float(rng.uniform(3, 8)))
    brush.ellipsoid(at, radii, plain(float(rng.choice((70.0, 95.0, 260.0)))))


def _ossicle(brush: Brush, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """A round, corticated body near a tip: of a spinous process, an arch, a rim or the dens."""
    name = str(rng.choice(LEVELS[:7]))
    size = anatomy.shapes[name].size
    back = size.depth / 2 + size.canal_depth + size.spinous + float(rng.uniform(2, 6))
    places: tuple[Vec3, ...] = (
        (float(rng.normal(0, 2)), back, -4.0),
        (float(rng.normal(0, 5)), -size.depth / 2 - float(rng.uniform(2, 5)), -size.height / 2),
        (float(rng.choice((-1, 1))) * (size.pillar_u + 8), size.pillar_a + 3, 0.0),
    )
    at = _at(anatomy, name, *places[int(rng.integers(len(places)))])
    radius = rng.uniform(1.2, 3.2) * rng.uniform(0.7, 1.4, 3)
    shade = bone_shade(0.85 * anatomy.cortex_hu, 350.0, 0.9)
    brush.ellipsoid(at, (float(radius[0]), float(radius[1]), float(radius[2])), shade)


def _cervical_rib(brush: Brush, anatomy: Anatomy, side: int, length: float) -> None:
    size = anatomy.shapes["C7"].size
    start = size.transverse - 3
    knots = [
        _at(anatomy, "C7", side * start, size.foramen_a + 5, -1),
        _at(anatomy, "C7", side * (start + 0.5 * length), size.foramen_a - 0.2 * length, -7),
        _at(anatomy, "C7", side * (start + 0.7 * length), size.foramen_a - 0.8 * length, -16),
    ]
    brush.rod(knots, (3.0, 2.6, 2.0), bone_shade(0.85 * anatomy.cortex_hu, 260.0, 1.1))

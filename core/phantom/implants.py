"""Metal in vertebrae: a plate with screws in two bodies, or rods with screws in lateral masses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, plain
from core.phantom.grid import Grid
from core.phantom.sdf import Field
from core.phantom.sizes import LEVELS

HU_IMPLANT: Final = 8000.0


def paint_implant(
    hu: Field, grid: Grid, anatomy: Anatomy, levels: Sequence[str], rng: np.random.Generator
) -> None:
    """Paint an implant that joins two neighbouring vertebrae, in place; none without such a pair.

    Args:
        hu: float32 HU (z, y, x); above 3000 the scanner adds its streaks.
        grid: Voxel grid.
        anatomy: The person.
        levels: Vertebrae that may hold metal, C1..C7; C1 and C2 get none.
        rng: Random generator.
    """
    free = [name for name in levels if name not in ("C1", "C2")]
    pairs = [(a, b) for a, b in pairwise(LEVELS) if a in free and b in free]
    if not pairs:
        return
    pair = pairs[int(rng.integers(len(pairs)))]
    paint = _plate if rng.uniform() < 0.6 else _rods
    paint(Brush(hu, grid), anatomy, pair, rng)


def _plate(brush: Brush, anatomy: Anatomy, pair: Sequence[str], rng: np.random.Generator) -> None:
    """A plate in front of two bodies, two screws in each."""
    s, metal = anatomy.scale, plain(HU_IMPLANT)
    for side in (-1, 1):
        knots = []
        for name in pair:
            front = -anatomy.shapes[name].size.depth / 2 - 2.2
            head = anatomy.poses[name].world((side * 4.5, front, 0.0), s)
            deep = front + float(rng.uniform(10, 15))
            tip = anatomy.poses[name].world((side * 3.0, deep, 1.0), s)
            brush.rod([head, tip], (1.7, 1.4), metal)
            knots.append(head)
        brush.rod(knots, (2.0, 2.0), metal)


def _rods(brush: Brush, anatomy: Anatomy, pair: Sequence[str], rng: np.random.Generator) -> None:
    """A rod on either side, with screws in the lateral masses."""
    s, metal = anatomy.scale, plain(HU_IMPLANT)
    for side in (-1, 1):
        knots = []
        for name in pair:
            size = anatomy.shapes[name].size
            back = size.pillar_a + 8.0
            head = anatomy.poses[name].world((side * (size.pillar_u - 1), back, 0.0), s)
            deep = back - float(rng.uniform(11, 15))
            tip = anatomy.poses[name].world((side * (size.pillar_u + 3), deep, 3.0), s)
            brush.rod([head, tip], (1.7, 1.5), metal)
            knots.append(head)
        brush.rod(knots, (1.8, 1.8), metal)

"""Shapes of C1-C7 and T1-T3 as signed distances.

Every shape lives in its vertebra's frame (see `sdf`), origin at the middle of the body, for C1 at
the middle of the ring, in mm of an average adult. A shape is drawn once on a regular grid (see
`canvas`) and then only sampled.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from core.phantom.canvas import Canvas
from core.phantom.sdf import Field, Points, Vec3
from core.phantom.shapes import OldCleft, VertebraShape, average_shape
from core.phantom.subaxial import draw_subaxial
from core.phantom.upper_cervical import draw_atlas, draw_axis

MARGIN_MM = 3.0
DISPLACEMENT_MM = 5.0
"""Margin for displaced fragments around the healthy bone."""


def vertebra_distance(name: str, points: Points, shape: VertebraShape | None = None) -> Field:
    """Signed distance in mm to the surface of a vertebra, negative in bone.

    Outside it is truncated at about 4 mm.

    Args:
        name: C1..T3.
        points: (u, a, h) in mm of an average adult, arrays that broadcast together.
        shape: This person's vertebra (`Anatomy.shapes`); the average adult's by default.
    """
    return vertebra_field(average_shape(name) if shape is None else shape).sample(points)


@lru_cache(maxsize=12)
def vertebra_field(shape: VertebraShape) -> Canvas:
    """Return the drawn vertebra; a study's ten are cached."""
    low, high = bounds(shape.name, shape)
    canvas = Canvas(low, high)
    draw = {"C1": draw_atlas, "C2": draw_axis}.get(shape.name, draw_subaxial)
    draw(canvas, shape)
    for spur in shape.spurs:
        canvas.strut(spur.start, spur.end, spur.r0, spur.r1, blend=2.0)
    canvas.roughen(shape.phases, shape.rough_mm)
    for cleft in shape.old_clefts:
        canvas.carve(lambda p, cleft=cleft: _slab(p, cleft), cleft.low, cleft.high)
    canvas.distance.setflags(write=False)
    return canvas


def bounds(name: str, shape: VertebraShape | None = None) -> tuple[Vec3, Vec3]:
    """Corners (u, a, h) in mm of a box that contains the healthy vertebra."""
    if name == "C1":
        return (-43.0, -25.0, -15.0), (43.0, 33.0, 14.0)
    shape = average_shape(name) if shape is None else shape
    size = shape.size
    grown = 10 * (shape.stout - 1)
    side = size.transverse + max(shape.reach_mm) + 5 + MARGIN_MM + grown
    back = size.depth / 2 + size.canal_depth + size.spinous + 4 + MARGIN_MM + grown
    front = -size.depth / 2 - 7 - MARGIN_MM
    drop = -shape.droop * size.spinous - 9
    facets = shape.facets
    steep = [s * (5.5 + max(facets.bulk)) for s in (facets.slope_top, facets.slope_bottom)]
    low = min(drop - 3.0, facets.bottom - steep[1]) - MARGIN_MM
    high = (
        30.0 + shape.dens.extra_mm
        if name == "C2"
        else max(facets.top + steep[0], size.height / 2 + size.uncus + 3)
    )
    return (-side, front, low - grown), (side, back, high + MARGIN_MM)


def reach(name: str, shape: VertebraShape | None = None) -> tuple[float, float, float]:
    """Half extents in mm (u, a, h) of a box around the vertebra, displaced fragments included."""
    low, high = bounds(name, shape)
    u, a, h = (max(-b, t) + DISPLACEMENT_MM for b, t in zip(low, high, strict=True))
    return u, a, h


def _slab(points: Points, cleft: OldCleft) -> Field:
    u, a, h = (
        np.float32(n) * (p - np.float32(c))
        for n, p, c in zip(cleft.normal, points, cleft.point, strict=True)
    )
    gap = np.abs(u + a + h) - np.float32(cleft.gap_mm / 2)
    for p, low, high in zip(points, cleft.low, cleft.high, strict=True):
        beyond = np.abs(p - np.float32((low + high) / 2)) - np.float32((high - low) / 2)
        gap = np.maximum(gap, beyond)
    return gap

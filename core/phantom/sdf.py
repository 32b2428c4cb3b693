"""Signed distances of simple solids, in mm, negative inside.

Points are a tuple `(u, a, h)` of float32 arrays that broadcast together, in a frame whose axes
point to the left (u), to the back (a) and to the head (h). Distances of ellipses are first-order
approximations: right at the surface, which is what cortical thickness and partial volume need.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Number = float | np.floating[Any]
Points = tuple[Field, Field, Field]
Vec3 = tuple[float, float, float]


def capsule(points: Points, start: Vec3, end: Vec3, r0: float, r1: float | None = None) -> Field:
    """Distance to the segment `start`-`end` thickened by a radius that runs from r0 to r1."""
    u, a, h = points
    du, da, dh = (e - s for s, e in zip(start, end, strict=True))
    length2 = du * du + da * da + dh * dh
    t = ((u - start[0]) * du + (a - start[1]) * da + (h - start[2]) * dh) / np.float32(length2)
    t = np.clip(t, 0, 1)
    gap2 = (
        (u - start[0] - t * du) ** 2 + (a - start[1] - t * da) ** 2 + (h - start[2] - t * dh) ** 2
    )
    radius = r0 if r1 is None else r0 + t * np.float32(r1 - r0)
    return np.sqrt(gap2) - radius


def wall(
    points: Points, path: Sequence[tuple[float, float]], thickness: float, low: float, high: float
) -> Field:
    """Distance to a plate standing on the polyline `path` in (u, a), between two heights."""
    u, a, h = points
    plans: list[Field] = []
    for (u0, a0), (u1, a1) in pairwise(path):
        du, da = u1 - u0, a1 - a0
        t = np.clip(((u - u0) * du + (a - a0) * da) / np.float32(du * du + da * da), 0, 1)
        gap = np.sqrt((u - u0 - t * du) ** 2 + (a - a0 - t * da) ** 2) - np.float32(thickness / 2)
        plans.append(gap)
    plan = np.minimum.reduce(plans)
    return rounded_intersection(plan, np.abs(h - (low + high) / 2) - np.float32((high - low) / 2))


def ellipsoid(points: Points, center: Vec3, radii: Vec3) -> Field:
    """First-order distance to an ellipsoid with its axes along the frame."""
    q = [(p - c) / np.float32(r) for p, c, r in zip(points, center, radii, strict=True)]
    k0 = np.sqrt(q[0] ** 2 + q[1] ** 2 + q[2] ** 2)
    k1 = np.sqrt(sum((v / np.float32(r)) ** 2 for v, r in zip(q, radii, strict=True)))
    return k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-4))


def ellipse(u: Field, a: Field, ru: Field | Number, ra: Field | Number) -> Field:
    """First-order distance to an ellipse centred at the origin; the radii may be arrays."""
    k0 = np.sqrt((u / ru) ** 2 + (a / ra) ** 2)
    k1 = np.sqrt((u / ru**2) ** 2 + (a / ra**2) ** 2)
    return k0 * (k0 - 1) / np.maximum(k1, np.float32(1e-4))


def superellipse(u: Field, a: Field, ru: Field | Number, ra: Field | Number, power: float) -> Field:
    """Distance, near the surface, to |u/ru|^power + |a/ra|^power = 1; above 2 it is squarer."""
    x, y = np.abs(u / ru), np.abs(a / ra)
    p = np.float32(power)
    xs, ys = x ** (p - 1), y ** (p - 1)
    value = np.maximum(x * xs + y * ys, np.float32(1e-6)) ** np.float32(1 / power)
    slope = np.sqrt((xs / ru) ** 2 + (ys / ra) ** 2) * value ** (1 - p)
    return (value - 1) / np.maximum(slope, np.float32(0.02))


def cylinder(points: Points, center: tuple[float, float], radius: float) -> Field:
    """Distance to an endless upright cylinder."""
    return np.sqrt((points[0] - center[0]) ** 2 + (points[1] - center[1]) ** 2) - np.float32(radius)


def rounded_intersection(first: Field, second: Field, radius: float = 1.2) -> Field:
    """Intersection of two solids with edges rounded by `radius` mm."""
    outside = np.sqrt(np.maximum(first + radius, 0) ** 2 + np.maximum(second + radius, 0) ** 2)
    return np.minimum(np.maximum(first, second), -radius) + outside


def union(first: Field, second: Field, blend: float = 1.5) -> Field:
    """Union of two solids whose seam is filleted over about `blend` mm."""
    mix = np.maximum(blend - np.abs(first - second), 0) / blend
    return np.minimum(first, second) - mix * mix * np.float32(blend / 4)


def carve(solid: Field, hole: Field) -> Field:
    """The solid without the hole."""
    return np.maximum(solid, -hole)

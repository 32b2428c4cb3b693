"""Shapes of C1 (a ring), C2 (with its dens), C3-C7 and T1-T2, as signed distances.

Every shape lives in its vertebra's frame (see `sdf`), origin at the middle of the body, for C1 at
the middle of the ring, in mm of an average adult.
"""

from __future__ import annotations

import numpy as np

from core.data.phantom.anatomy import SIZES, VertebraSize
from core.data.phantom.sdf import (
    Field,
    Points,
    capsule,
    carve,
    cylinder,
    ellipse,
    ellipsoid,
    rounded_intersection,
    union,
    wall,
)

REACH = {"C1": (44.0, 32.0, 15.0), "C2": (33.0, 46.0, 33.0)}
"""Half extents (u, a, h) of the box that surely holds a vertebra; others by `reach`."""


def reach(name: str) -> tuple[float, float, float]:
    """Half extents in mm (u, a, h) of a box around the vertebra, displaced fragments included."""
    if name in REACH:
        return REACH[name]
    size = SIZES[name]
    back = size.depth / 2 + size.canal_depth + size.spinous + 10
    return (size.transverse + 6, back, size.height / 2 + 22)


def vertebra_distance(name: str, points: Points) -> Field:
    """Signed distance in mm to the surface of the vertebra, negative in bone."""
    if name == "C1":
        return _atlas(points)
    if name == "C2":
        return _axis(points)
    return _subaxial(points, SIZES[name])


def _atlas(points: Points) -> Field:
    parts = [
        wall(points, [(-14, -10), (-7, -15.5), (0, -17), (7, -15.5), (14, -10)], 5.8, -5.5, 5.5),
        wall(
            points,
            [(-20, 2), (-20.5, 10), (-14, 19), (-5, 23.5), (5, 23.5), (14, 19), (20.5, 10),
             (20, 2)],
            5.2, -4.2, 4.2,
        ),
        capsule(points, (0, -18, 0), (0, -20, 0), 3.0, 2.0),
        capsule(points, (0, 24, 0), (0, 27, -1), 3.2, 2.2),
    ]  # fmt: skip
    for side in (-1, 1):
        parts += [
            ellipsoid(points, (side * 18, -5, 0), (8, 10.5, 9)),
            capsule(points, (side * 22, -3, 0), (side * 37, 1, -1), 5.0, 3.6),
        ]
    bone = union(*parts)
    for side in (-1, 1):
        bone = carve(bone, cylinder(points, (side * 28, -1.5), 2.9))
    return carve(bone, ellipsoid(points, (0, 7, 0), (12.5, 13, 40)))


def _axis(points: Points) -> Field:
    size = SIZES["C2"]
    back = size.depth / 2 + size.canal_depth
    parts = [
        _body(points, size),
        capsule(points, (0, -1.5, 6), (0, -1.8, 24), 5.3, 4.6),
        wall(points, [(-17, 15), (-9, back - 1), (0, back + 3), (9, back - 1), (17, 15)],
             6.2, -11, 4),
        capsule(points, (0, back + 2, -4), (0, back + size.spinous - 4, -6), 4.6, 3.8),
    ]  # fmt: skip
    for side in (-1, 1):
        parts += [
            ellipsoid(points, (side * 14.5, -1, 6), (8.5, 8, 5.5)),
            capsule(points, (side * 13, 3, 3), (side * 18, 14, -4), 4.8, 4.6),
            capsule(points, (side * 18, 13, -4), (side * 18.5, 15, -11), 5.2, 4.6),
            capsule(points, (side * 16, 2, -1), (side * 24, 7, -5), 3.8, 2.8),
            capsule(
                points,
                (0, back + size.spinous - 5, -6),
                (side * 5, back + size.spinous, -8),
                3.2, 2.4,
            ),
        ]  # fmt: skip
    bone = union(*parts)
    for side in (-1, 1):
        bone = carve(bone, cylinder(points, (side * 18.5, 3), 2.7))
    u, a, _ = points
    canal = ellipse(u, a - (size.depth / 2 + size.canal_depth / 2), 11.5, size.canal_depth / 2)
    return carve(bone, canal)


def _subaxial(points: Points, size: VertebraSize) -> Field:
    u, a, h = points
    front_of_canal = size.depth / 2
    back = front_of_canal + size.canal_depth
    pillar_u, pillar_a = size.canal_width / 2 + 6.5, front_of_canal + 6.5
    leaning_h = h + np.float32(0.55) * (a - np.float32(pillar_a))
    parts = [
        _body(points, size),
        wall(points, [(-pillar_u, pillar_a + 2), (-8, back), (0, back + 3.5), (8, back),
                      (pillar_u, pillar_a + 2)], 4.4, -8.0, 3.5),
        capsule(points, (0, back + 2, -3), (0, back + size.spinous, -4 - 0.28 * size.spinous),
                3.6, 3.4 if not size.bifid else 2.8),
    ]  # fmt: skip
    tip = (back + size.spinous, -4 - 0.28 * size.spinous)
    for side in (-1, 1):
        root = (side * (size.width / 2 - 1), front_of_canal - 4, 1.0)
        end = (side * size.transverse, front_of_canal - 5, -4.0)
        pillar = rounded_intersection(
            ellipse(u - np.float32(side * pillar_u), a - np.float32(pillar_a), 5.8, 5.4),
            np.abs(leaning_h) - np.float32(size.height / 2 + 2.5),
        )
        parts += [
            capsule(points, root, (side * pillar_u, pillar_a, 0.5), 3.4, 3.6),
            pillar,
            capsule(points, (side * (size.width / 2), -1.5, 0), end, 2.6, 2.4),
            capsule(points, (side * pillar_u, pillar_a - 2, -1), end, 3.0, 2.6),
        ]
        if size.foramina:
            start = (side * (size.width / 2 - 0.5), 4.0 - front_of_canal, size.height / 2 - 2)
            stop = (side * (size.width / 2 - 0.5), front_of_canal - 2, size.height / 2 - 1)
            parts.append(capsule(points, start, stop, 2.2, 3.0))
        if size.bifid:
            parts.append(
                capsule(points, (0, tip[0] - 2, tip[1]), (side * 4.5, tip[0] + 2.5, tip[1] - 2),
                        2.6, 2.0)
            )  # fmt: skip
    if not size.bifid:
        parts.append(ellipsoid(points, (0, tip[0], tip[1]), (4.4, 4.4, 5.0)))
    bone = union(*parts)
    canal = ellipse(
        u, a - np.float32(front_of_canal + size.canal_depth / 2), size.canal_width / 2,
        size.canal_depth / 2,
    )  # fmt: skip
    bone = carve(bone, canal)
    if size.foramina:
        for side in (-1, 1):
            hole = (side * (size.width / 2 + 5.2), front_of_canal - 4.5)
            bone = carve(bone, cylinder(points, hole, 2.8))
    return bone


def _body(points: Points, size: VertebraSize) -> Field:
    """Body: an oval with a flattened back, waisted at mid height, with hollow end plates."""
    u, a, h = points
    waist = 1 - np.float32(0.07) * (1 - (2 * h / size.height) ** 2).clip(0, 1)
    plan = ellipse(u, a, np.float32(size.width / 2 + 0.5) * waist, np.float32(size.depth / 2 + 1.5))
    plan = rounded_intersection(plan, a - np.float32(size.depth / 2), 2.0)
    hollow = np.float32(0.9) * np.exp(-((u / 7) ** 2) - (a / 6) ** 2)
    return rounded_intersection(plan, np.abs(h) + hollow - np.float32(size.height / 2), 0.9)

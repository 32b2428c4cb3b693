"""C1, a ring of two lateral masses and two arches, and C2 with its dens."""

from __future__ import annotations

import numpy as np

from core.phantom.canvas import Canvas
from core.phantom.sdf import Field, Points, capsule, cylinder, ellipse, ellipsoid
from core.phantom.sdf import rounded_intersection as cut
from core.phantom.shapes import Dens, VertebraShape
from core.phantom.subaxial import draw_body, draw_neural_arch, draw_pillar

ATLAS_ORIGIN = (0.0, 5.5, 21.5)
"""C1's middle in C2's frame, mm of an average adult."""
FACET_FALL = 0.42
"""Fall of the C1-C2 joint per mm to the side."""
CONDYLE_RISE = 0.45
"""Rise of the joint between occiput and C1 per mm to the side."""


def draw_atlas(canvas: Canvas, shape: VertebraShape) -> None:
    """Draw C1; its middle lies at the middle of the ring."""
    canvas.chain(
        [(-13.0, -10.0, 0, 2.6), (-9.5, -13.8, 0, 2.6), (-5.0, -16.2, 0, 2.8), (0, -16.9, 0, 3.0),
         (5.0, -16.2, 0, 2.8), (9.5, -13.8, 0, 2.6), (13.0, -10.0, 0, 2.6)],
        flat=0.55, blend=2.0,
    )  # fmt: skip
    canvas.strut((0, -17.5, -0.5), (0, -19.6, -0.8), 2.8, 1.6, flat=0.8)
    back = [(18.6, 4.0, 0.6, 2.3), (20.0, 8.5, 0.7, 2.1), (18.6, 13.2, 0.5, 2.3),
            (14.6, 18.0, 0.2, 2.6), (9.5, 21.6, 0.0, 2.8), (4.5, 23.7, -0.1, 2.9),
            (0.0, 24.3, -0.3, 3.0)]  # fmt: skip
    for side in (-1, 1):
        canvas.chain([(side * u, a, h, r * shape.stout) for u, a, h, r in back], flat=0.68)
        _lateral_mass(canvas, side)
        tip = (side * (36.5 + shape.reach_mm[side > 0]), 2.5, -2.5)
        canvas.strut((side * 23, -4, -2), (side * 33, -2.5, -1.5), 2.4, 2.2, flat=0.7)
        canvas.strut((side * 22.5, 1, -2), tip, 3.0 * shape.stout, 2.4 * shape.stout, flat=0.7)
        canvas.strut((side * 33, -2.5, -1.5), tip, 2.2, 2.6 * shape.stout, flat=0.7)
    canvas.strut((0, 24.5, -0.5), (0, 27.0, -1.5), 2.6, 1.8, flat=0.8)
    for side, radius in zip((-1, 1), shape.foramen_mm, strict=True):
        hole = (side * 28.3, -0.6)
        canvas.carve(
            lambda p, hole=hole, radius=radius: cylinder(p, hole, radius),
            (hole[0] - 4, -6, -14), (hole[0] + 4, 5, 14),
        )  # fmt: skip


def _lateral_mass(canvas: Canvas, side: int) -> None:
    turn = np.float32(side * np.radians(20))
    cos, sin = np.cos(turn), np.sin(turn)

    def mass(p: Points) -> Field:
        u, a, h = p[0] - np.float32(side * 17.4), p[1] + np.float32(3.8), p[2]
        plan = ellipse(cos * u + sin * a, -sin * u + cos * a, 7.6, 10.4)
        out = np.float32(side) * u
        hollow = np.float32(1.3) * np.exp(-((out / 5) ** 2) - (a / 6) ** 2)
        top = (h - 5.2 - np.float32(CONDYLE_RISE) * out + hollow) * np.float32(0.91)
        bottom = (-h - 7.2 - np.float32(FACET_FALL) * out) * np.float32(0.92)
        return cut(plan, np.maximum(top, bottom), 1.4)

    low, high = (side * 17.4 - 10.5, -15.5, -12.0), (side * 17.4 + 10.5, 8.0, 10.0)
    canvas.add(mass, low, high, blend=2.5)
    canvas.strut((side * 10.6, -4, -0.5), (side * 12, -4, -0.5), 1.8, 2.4, blend=2.0)


def draw_axis(canvas: Canvas, shape: VertebraShape) -> None:
    """Draw C2; its middle lies at the middle of its body, the dens rises to about h = 29."""
    draw_body(canvas, shape)
    dens = shape.dens
    canvas.add(
        lambda p: _dens(p, dens), (-6, -8, 4), (6, 5, 30 + dens.extra_mm), blend=dens.blend_mm
    )
    for side in (-1, 1):
        _shoulder(canvas, side)
        draw_pillar(canvas, shape, side)
        u, a = shape.size.pillar_u, shape.size.pillar_a
        canvas.strut((side * 15.5, 4, 3.5), (side * (u - 0.5), a - 1, -3), 4.2, 4.4, flat=0.85)
        canvas.strut((side * 11, 0, -1), (side * 18.5, -0.6, -2.5), 2.6, 2.0, flat=0.75)
        canvas.strut(
            (side * (u - 1), a - 5, -3), (side * (shape.size.transverse - 2), 4.5, -5),
            2.6, 2.2, flat=0.8,
        )  # fmt: skip
        canvas.strut(
            (side * 18.5, -0.6, -2.5), (side * (shape.size.transverse - 2), 4.5, -5), 1.8, 2.0
        )
    draw_neural_arch(canvas, shape, thickness=5.2, low=-10.5, high=3.5)
    for side, radius in zip((-1, 1), shape.foramen_mm, strict=True):
        _oblique_foramen(canvas, side, radius)


def _dens(p: Points, dens: Dens) -> Field:
    u, a, h = p
    waist = 1 - np.float32(0.1) * np.exp(-(((h - 12) / 3.5) ** 2))
    lean = a + np.float32(1.4) + np.float32(0.03 - dens.lean) * (h - 10)
    extra = dens.extra_mm
    plan = ellipse(u, lean, np.float32(5.2) * waist, np.float32(5.4) * waist)
    shaft = cut(plan, np.abs(h - (12 + extra / 2)) - np.float32(10.5 + extra / 2), 2.0)
    tip = ellipsoid((u, lean, h), (0, 0, 22.6 + extra), (5.0, 5.2, 6.0))
    return np.minimum(shaft, tip)


def _shoulder(canvas: Canvas, side: int) -> None:
    """The upper joint surface, which falls to the side, and the bone under it."""
    turn = np.float32(side * np.radians(15))
    cos, sin = np.cos(turn), np.sin(turn)
    clear = ATLAS_ORIGIN[2] - 7.2 - 2.0

    def mass(p: Points) -> Field:
        u, a, h = p[0] - np.float32(side * 15.2), p[1] - np.float32(1.2), p[2]
        plan = ellipse(cos * u + sin * a, -sin * u + cos * a, 8.4, 8.4)
        out = np.float32(side) * p[0] - np.float32(17.4)
        crown = np.float32(0.8) * np.exp(-((out / 5) ** 2) - (a / 5) ** 2)
        top = (h - np.float32(clear) + np.float32(FACET_FALL) * out - crown) * np.float32(0.92)
        under = (-h - 0.5 + np.float32(0.5) * (out + 6)) * np.float32(0.89)
        return cut(plan, np.maximum(top, under), 2.0)

    canvas.add(mass, (side * 15.2 - 9.5, -8, -6), (side * 15.2 + 9.5, 11, 18), blend=4.0)


def _oblique_foramen(canvas: Canvas, side: int, radius: float) -> None:
    """The canal of the vertebral artery through C2 runs up and to the side."""
    start, end = (side * 15.8, 3.6, -14.0), (side * 19.6, 2.6, -0.5)
    up = (side * 28.5, 3.6, 10.0)
    low, high = (side * 22 - 9, -2, -15), (side * 22 + 9, 9, 13)
    canvas.carve(lambda p: capsule(p, start, end, radius), low, high)
    canvas.carve(lambda p: capsule(p, end, up, radius), low, high)

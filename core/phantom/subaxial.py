"""C3-C7 and T1-T3: body with uncinate processes, pillars, laminae, spinous and transverse ones."""

from __future__ import annotations

import numpy as np

from core.phantom.canvas import Canvas
from core.phantom.sdf import Field, Points, cylinder, ellipse, superellipse
from core.phantom.sdf import rounded_intersection as cut
from core.phantom.shapes import VertebraShape

SHEAR = 0.28
"""A lamina's upper edge stands to the front of its lower one, mm per mm of height."""


def draw_subaxial(canvas: Canvas, shape: VertebraShape) -> None:
    """Draw C3-C7 or T1-T3; the middle of the body lies at the origin."""
    size = shape.size
    thoracic = shape.name.startswith("T")
    draw_body(canvas, shape)
    for side in (-1, 1):
        draw_pillar(canvas, shape, side)
        canvas.strut(
            (side * (size.width / 2 - 2.5), size.depth / 2 - 4.0, 2.0 if thoracic else 0.8),
            (side * (size.pillar_u - 0.5), size.pillar_a - 0.5, 1.5 if thoracic else 0.3),
            2.5, 2.9, flat=0.62 if thoracic else 0.72, blend=2.5,
        )  # fmt: skip
        _transverse_process(canvas, shape, side)
    thickness = {"C6": 3.7, "C7": 4.4}.get(shape.name, 5.0 if thoracic else 3.3)
    draw_neural_arch(canvas, shape, thickness, -7.5 if not thoracic else -10.0, 3.6)
    if size.foramina:
        for side, radius in zip((-1, 1), shape.foramen_mm, strict=True):
            hole = (side * size.foramen_u, size.foramen_a)
            canvas.carve(
                lambda p, hole=hole, radius=radius: cylinder(p, hole, radius),
                (hole[0] - 5, hole[1] - 5, -14), (hole[0] + 5, hole[1] + 5, 14),
            )  # fmt: skip


def draw_body(canvas: Canvas, shape: VertebraShape) -> None:
    """Body: an oval with a flat back and a waist, end plates hollow, uncinate processes on top."""
    size = shape.size
    half, w = np.float32(size.height / 2), np.float32(size.width / 2)
    rim = np.float32(size.depth / 2)

    def body(p: Points) -> Field:
        u, a, h = p
        level = np.clip(h / half, -1.2, 1.4)
        wide = w + np.float32(1.2) + np.float32(0.6) * level * level
        wide = wide + np.float32(0.11 * size.uncus) * level
        deep = rim + np.float32(1.3) + np.float32(0.35) * level * level
        plan = superellipse(u, a + np.float32(0.9), wide, deep, 2.4)
        dent = np.float32(0.7) * np.exp(-((u / 4) ** 2))
        plan = cut(plan, a - rim + dent, 2.4)
        side = np.abs(u) / w
        lift = np.clip((side - 0.58) / 0.42, 0, 1)
        lift = lift * lift * (3 - 2 * lift)
        lift = lift * np.clip((a + rim * 0.6) / (0.7 * rim), 0, 1)
        lift = lift * np.clip((rim + 1 - a) / 4, 0, 1)
        bowl = np.exp(-((u / (0.62 * w)) ** 2) - (a / (0.75 * rim)) ** 2)
        top = half + np.float32(size.uncus) * lift - np.float32(0.6) * bowl
        bevel = np.float32(0.32 * size.uncus) * np.clip((side - 0.55) / 0.45, 0, 1.3) ** 2
        lip = np.float32(1.3) * np.clip(-a / rim - 0.45, 0, 0.55) / np.float32(0.55)
        bottom = half - np.float32(1.0) * bowl - bevel + lip * (size.uncus > 0)
        fall = np.float32(shape.wedge * size.height) * np.clip(0.5 - 0.5 * a / rim, 0, 1)
        return cut(plan, np.maximum(h - top + fall, -h - bottom), 1.2)

    reach = (size.width / 2 + 4, size.depth / 2 + 4)
    canvas.add(
        body,
        (-reach[0], -reach[1], -size.height / 2 - 2.5),
        (reach[0], reach[1], size.height / 2 + size.uncus + 1),
    )


def draw_pillar(canvas: Canvas, shape: VertebraShape, side: int) -> None:
    """Articular pillar between its two sloping joint surfaces; C2 has only the lower one."""
    size, facets = shape.size, shape.facets
    bulk = facets.bulk[side > 0]
    stout = shape.stout
    ru, ra = np.float32(stout * (5.9 + bulk)), np.float32(stout * (5.0 + 0.5 * bulk))
    slope = np.float32(facets.slope_top), np.float32(facets.slope_bottom)
    top = -3.0 if shape.name == "C2" else facets.top

    def pillar(p: Points) -> Field:
        u, a, h = p[0] - np.float32(side * size.pillar_u), p[1] - np.float32(size.pillar_a), p[2]
        middle = (h + np.float32(0.9) * a) / np.float32(8)
        waist = np.float32(0.84) + np.float32(0.16) * np.clip(middle * middle, 0, 1)
        plan = ellipse(u, a, ru * waist, ra * waist)
        above = (h + slope[0] * a - np.float32(top)) / np.sqrt(1 + slope[0] ** 2)
        below = (np.float32(facets.bottom) - h - slope[1] * a) / np.sqrt(1 + slope[1] ** 2)
        return cut(plan, np.maximum(above, below), 2.3)

    steep = float(max(slope)) * float(ra)
    u = side * size.pillar_u
    canvas.add(
        pillar,
        (u - float(ru) - 0.5, size.pillar_a - float(ra) - 0.5, facets.bottom - steep),
        (u + float(ru) + 0.5, size.pillar_a + float(ra) + 0.5, top + steep),
    )


def draw_neural_arch(
    canvas: Canvas, shape: VertebraShape, thickness: float, low: float, high: float
) -> None:
    """Laminae between two heights behind the canal, the spinous process, and the canal itself."""
    size = shape.size
    thickness, low, high = (shape.stout * v for v in (thickness, low, high))
    center = size.depth / 2 + size.canal_depth / 2
    ru, ra = size.canal_width / 2, size.canal_depth / 2
    middle = (low + high) / 2

    def laminae(p: Points) -> Field:
        u, a, h = p
        back = a - np.float32(center) + np.float32(SHEAR) * (h - np.float32(middle))
        peak = back - np.float32(2.5) * np.exp(-((u / 5.0) ** 2))
        shell = ellipse(u, peak, np.float32(ru), np.float32(ra)) - np.float32(thickness / 2)
        shell = np.abs(shell) - np.float32(thickness / 2)
        shell = np.maximum(shell, np.float32(-0.42 * ra) - back)
        notch = np.float32(1.6) * np.clip(1 - np.abs(u) / 7, 0, 1)
        rise = np.abs(h - middle + 0.5 * notch) + 0.5 * notch - np.float32((high - low) / 2)
        return cut(shell, rise, 1.2)

    reach = ru + thickness + 1
    canvas.add(
        laminae, (-reach, center - 0.42 * ra - 1, low - 1),
        (reach, center + ra + thickness + 5, high + 1), blend=2.5,
    )  # fmt: skip
    _spinous_process(canvas, shape, thickness, middle)

    def canal(p: Points) -> Field:
        u, a, h = p
        shear = np.float32(SHEAR) * (h - np.float32(middle)) * (a > center)
        return ellipse(u, a - np.float32(center) + shear, ru - 0.3, ra - 0.3)

    canvas.carve(canal, (-ru, center - ra, low - 4), (ru, center + ra + 4, high + 16))


def _spinous_process(canvas: Canvas, shape: VertebraShape, thickness: float, middle: float) -> None:
    size = shape.size
    root = size.depth / 2 + size.canal_depth + thickness / 2 + 1.0
    back = size.depth / 2 + size.canal_depth + size.spinous
    fall = middle - shape.droop * size.spinous
    end = back - (3.0 if shape.fork_mm else 1.0)
    thick = {"C2": 2.9, "C6": 2.4}.get(shape.name, 2.1 if shape.fork_mm else 2.5) * shape.stout
    skew = shape.skew_mm
    canvas.strut((0, root, middle), (skew, end, fall), thick, 0.82 * thick, flat=0.52, blend=2.5)
    if shape.fork_mm:
        for side in (-1, 1):
            canvas.strut(
                (skew, end - 1.5, fall - 0.8),
                (skew + side * shape.fork_mm, back + 1.0, fall - 2.2),
                2.2, 1.9, flat=0.8, blend=1.0,
            )  # fmt: skip
    else:
        knob = 3.6 if shape.name in ("C7", "T1") else 2.8
        tip = (skew, back, fall - 1.5)
        canvas.strut((skew, back - 2.5, fall - 0.5), tip, knob - 0.6, knob, flat=0.8)


def _transverse_process(canvas: Canvas, shape: VertebraShape, side: int) -> None:
    size = shape.size
    u, a = size.pillar_u, size.pillar_a
    reach = size.transverse + shape.reach_mm[side > 0]
    if not size.foramina:
        tip = (side * reach, a + 5.5, 3.0)
        canvas.strut((side * (u - 1), a + 0.5, 1.5), tip, 4.0, 3.6, flat=0.85, blend=2.5)
        return
    long = shape.name == "C7"
    tubercle = (side * (size.foramen_u + 2.9), size.foramen_a - 4.4, -2.5)
    tip = (side * reach, size.foramen_a + (6.0 if long else 2.0), -2.0 if long else -4.0)
    front = {"C6": 2.6, "C7": 1.2}.get(shape.name, 1.9)
    stout = shape.stout
    root = (side * (size.width / 2 - 1), size.foramen_a - 3.4, 0.0)
    canvas.strut(root, tubercle, 2.1 * stout, front * stout, flat=0.7)
    thin = 2.5 if long else 1.9
    canvas.strut((side * u, a - 3.5, -0.5), tip, 3.3 * stout, thin * stout, flat=0.72, blend=2.5)
    canvas.strut(tubercle, tip, 1.9 * stout, 2.0 * stout, flat=0.8)

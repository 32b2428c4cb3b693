"""Mouth, pharynx, larynx with its cartilages, trachea, oesophagus, and the hyoid bone."""

from __future__ import annotations

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, Shade, bone_shade, plain
from core.phantom.neck_frame import Line, NeckFrame
from core.phantom.scene import HU_AIRWAY, PLAIN, Airway, Scene
from core.phantom.sdf import Field

HU_CARTILAGE, HU_TONGUE, HU_GULLET, HU_MUCOSA = 125.0, 52.0, 38.0, 45.0
HU_TUBE = 320.0


def paint_airway(
    brush: Brush,
    neck: NeckFrame,
    anatomy: Anatomy,
    push: Line,
    rng: np.random.Generator,
    scene: Scene = PLAIN,
) -> None:
    """Paint everything from the nose to the trachea.

    Args:
        brush: Brush on the volume.
        neck: Courses through the neck.
        anatomy: The person.
        push: Extra prevertebral depth in mm by slice.
        rng: Random generator.
        scene: Surroundings; the classic ones by default.
    """
    s = anatomy.scale
    hyoid, neck = neck.moved(scene.hyoid), neck.moved(scene.larynx)
    level = neck.level
    x = neck.spine[0] * 0.8 + float(rng.normal(0, 1.0))
    front = neck.spine[1] - neck.body[1] - push
    thick = neck.along(skull=9, C1=7, C2=5, C4=5.5, C5=12, C6=14.5, T1=14, T3=13) * s
    wide = neck.along(skull=12, C1=13, C2=12, C3=14, C4=12, C5=5, C6=8.5, T3=9) * s
    deep = neck.along(skull=9, C1=7, C2=6, C3=7, C4=6.5, C5=8.5, C6=8.8, T3=9) * s
    wide = wide * float(rng.uniform(0.8, 1.15))
    content = HU_AIRWAY
    if (drawn := scene.airway) is not None:
        thick, wide, deep = (p.at(neck.z) * s for p in (drawn.wall, drawn.width, drawn.depth))
        x, content = x + drawn.side_mm, drawn.content_hu
    wall = front - thick
    _paint_mouth(brush, neck, s, x, wall)
    y = wall - deep
    brush.tube(x, y, wide + 3.0, deep + 2.2, HU_MUCOSA, 0.0, neck.between(level["C1"], level["C5"]))
    hard = anatomy.age_years > 35 and rng.uniform() < (anatomy.age_years - 25) / 60
    shade = _ossified(rng) if hard else plain(HU_CARTILAGE)
    _paint_larynx(brush, neck, s, x, y, shade)
    low = neck.between(level["C6"] - 6, neck.z.min() - 5)
    brush.tube(x, y, wide + 1.8, deep + 1.8, HU_CARTILAGE * 0.75, 0.0, low)
    brush.tube(x, y, wide, deep, content, 0.0, neck.between(level["skull"] + 4, neck.z.min() - 5))
    if drawn is not None and drawn.tube_mm:
        _paint_tube(brush, neck, drawn, x, y)
    gullet = neck.between(level["C6"] - 3, neck.z.min() - 5)
    gx, gy = x + 3.0 * s, wall + 5.5 * s
    brush.tube(gx, gy, 7.5 * s, 4.2 * s, HU_GULLET, 0.0, gullet)
    if rng.uniform() < 0.4:
        at = level["C7"] - float(rng.uniform(0, 25))
        brush.tube(gx, gy, 2.0, 1.4, HU_AIRWAY * 0.8, 0.0, neck.between(at + 6, at - 6))
    leaf = neck.between(level["C3"] + 6, level["C4"] - 3)
    brush.tube(x, y - 0.35 * deep, 0.75 * wide, 1.2, HU_MUCOSA, 0.0, leaf)
    _paint_hyoid(brush, hyoid, anatomy, x, y)


def _paint_tube(brush: Brush, neck: NeckFrame, airway: Airway, x: Line, y: Line) -> None:
    """A tracheal tube along the airway, with its inflated cuff."""
    cuff = neck.between(airway.cuff_mm + 14, airway.cuff_mm - 14, 4)
    brush.tube(x, y, 11.0 * cuff, 10.0 * cuff, HU_AIRWAY, 0.0, cuff)
    brush.tube(x, y, airway.tube_mm, airway.tube_mm, HU_TUBE)
    brush.tube(x, y, airway.tube_mm - 1.3, airway.tube_mm - 1.3, HU_AIRWAY)


def _paint_mouth(brush: Brush, neck: NeckFrame, s: float, x: Line, wall: Line) -> None:
    level = neck.level
    tongue = neck.between(level["C1"] - 3, level["C4"] + 6, 3)
    front = wall - neck.along(C1=46, C2=44, C3=38, C4=30) * s
    brush.tube(x, front, 21 * s, neck.along(C1=24, C2=30, C3=26, C4=18) * s, HU_TONGUE, 0.0, tongue)
    seam = neck.between(level["C2"] + 2, level["C3"] - 6, 3)
    brush.tube(x, front, 1.3, 20 * s, -55.0, 0.0, seam * 0.7)
    palate = neck.between(level["C1"] + 4, level["C2"] + 4, 2)
    brush.tube(x, wall - 22 * s, 12 * s, 9 * s, HU_MUCOSA, 0.0, palate)
    slit = neck.between(level["C1"] - 4, level["C1"] - 8, 1.5)
    brush.tube(x, wall - 52 * s, 17 * s, 20 * s, HU_AIRWAY, 0.0, slit)


def _paint_larynx(brush: Brush, neck: NeckFrame, s: float, x: Line, y: Line, shade: Shade) -> None:
    level = neck.level
    top, bottom = level["C4"] - 2, level["C5"] - 14 * s
    soft = neck.between(top, level["C6"] - 8)
    brush.tube(x, y - 2, 15 * s, 15 * s, HU_MUCOSA, 0.0, soft)
    height = top - bottom
    mid = (top + bottom) / 2
    cx, cy = neck.place((x, y), mid)
    flat = 2.6 / height
    for side in (-1, 1):
        plate = [(cx, cy - 17 * s, mid - 2), (cx + side * 10 * s, cy - 5 * s, mid),
                 (cx + side * 16 * s, cy + 9 * s, mid + 1)]  # fmt: skip
        brush.rod(plate, (1.3, 1.3, 1.3), shade, flat)
        horn = [
            (cx + side * 16 * s, cy + 9 * s, bottom + 4),
            (cx + side * 17 * s, cy + 11 * s, top + 11),
        ]
        brush.rod(horn, (1.3, 1.1), shade)
        arytenoid = [
            (cx + side * 4 * s, cy + 7 * s, bottom + 4),
            (cx + side * 3 * s, cy + 6 * s, bottom + 13),
        ]
        brush.rod(arytenoid, (2.2, 1.2), shade)
    cx, cy = neck.place((x, y), bottom - 5)
    turns = np.linspace(0, 2 * np.pi, 13)
    ring = [(cx + 11 * s * np.sin(t), cy - 11 * s * np.cos(t), bottom - 6 + 3 * (1 - np.cos(t)))
            for t in turns]  # fmt: skip
    radii = [1.5 + 0.7 * (1 - np.cos(t)) / 2 for t in turns]
    brush.rod(ring, radii, shade, 0.45)


def _paint_hyoid(brush: Brush, neck: NeckFrame, anatomy: Anatomy, x: Line, y: Line) -> None:
    s = anatomy.scale
    z = neck.level["C3"] - 9.0 * s
    cx, cy = neck.place((x, y), z)
    bow = [(21, 2), (18, -12), (10, -21), (0, -23), (-10, -21), (-18, -12), (-21, 2)]
    knots = [(cx + u * s, cy + a * s, z + 0.1 * (a + 23)) for u, a in bow]
    brush.rod(knots, (1.6, 1.6, 2.2, 2.6, 2.2, 1.6, 1.6), bone_shade(850, 350, 1.0), 0.6)


def _ossified(rng: np.random.Generator) -> Shade:
    """Return the HU of ageing cartilage, partly ossified."""
    hard = float(rng.uniform(350, 800))

    def shade(distance: Field) -> Field:
        rim = np.clip(1 - np.abs(distance + 0.3) / np.float32(1.2), 0, 1)
        return np.float32(HU_CARTILAGE) + rim * np.float32(hard - HU_CARTILAGE)

    return shade

"""Muscles, ligaments, canal, vessels and glands of the neck, as tubes along the spine.

Prevertebral soft tissue measures about 5 mm before C2-C4 and 14 mm before C6 (Rojas et al. 2009,
AJNR 30:1370-1375, "Normal thickness and appearance of the prevertebral soft tissues on CT").
"""

from __future__ import annotations

import numpy as np

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, bone_shade, plain
from core.phantom.neck_frame import Line, NeckFrame
from core.phantom.scene import HU_FAT, HU_MUSCLE, PLAIN, Scene

HU_LIGAMENT, HU_DISC = 78.0, 85.0
HU_CSF, HU_CORD, HU_BLOOD, HU_THYROID, HU_GLAND, HU_PAROTID = 12.0, 40.0, 45.0, 110.0, 42.0, 0.0

Course = tuple[tuple[str, float, float, float, float], ...]
"""Knots (level, u to the side, a to the back, half width, half depth) in mm, from head to chest."""

MUSCLES: dict[str, tuple[float, Course]] = {
    "trapezius": (-35, (("C2", 20, 56, 14, 3.5), ("C4", 30, 50, 22, 4), ("C6", 48, 42, 36, 5),
                        ("T1", 64, 44, 58, 7), ("T3", 62, 56, 60, 8))),
    "splenius": (-28, (("skull", 42, 22, 10, 5), ("C2", 27, 43, 15, 5.5), ("C4", 19, 45, 16, 5),
                       ("C7", 15, 46, 14, 4.5), ("T3", 8, 46, 7, 3.5))),
    "semispinalis capitis": (-15, (("skull", 15, 52, 12, 7), ("C2", 13, 40, 12, 6.5),
                                   ("C5", 16, 36, 12, 6), ("T1", 22, 34, 10, 7),
                                   ("T3", 20, 36, 9, 7))),
    "multifidus": (-20, (("skull", 14, 36, 12, 8), ("C1", 16, 31, 13, 7), ("C2", 13, 29, 11, 7),
                         ("C5", 13, 26, 11, 6.5), ("C7", 13, 28, 11, 7.5), ("T3", 11, 28, 10, 8))),
    "levator": (10, (("C1", 42, 6, 6, 8), ("C3", 40, 14, 7, 10), ("C5", 40, 22, 8, 11),
                     ("C7", 50, 32, 8, 11), ("T2", 66, 44, 8, 8))),
    "scalene": (-12, (("C2", 24, 3, 4, 6), ("C4", 29, 2, 7, 11), ("C6", 33, 1, 9, 13),
                      ("T1", 42, -4, 10, 13), ("T2", 46, -10, 6, 8))),
    "sternomastoid": (32, (("skull", 56, 8, 6, 13), ("C2", 52, 2, 7, 17), ("C4", 46, -16, 7, 18),
                           ("C6", 36, -34, 7, 17), ("T1", 24, -52, 7, 11), ("T3", 16, -62, 6, 7))),
    "longus": (15, (("skull", 9, -19, 6, 4), ("C2", 7, -12, 5, 3), ("C4", 8.5, -11, 6, 3),
                    ("C6", 11, -12, 6, 3.5), ("T2", 10, -13, 5, 3))),
    "masseter": (0, (("skull", 57, -42, 6, 15), ("C2", 56, -46, 7, 17), ("C3", 48, -48, 4, 8))),
    "pterygoid": (-10, (("skull", 33, -38, 9, 11), ("C2", 38, -38, 6, 13), ("C3", 40, -40, 3, 6))),
}  # fmt: skip
"""Turn in degrees and course by muscle; drawn in this order, each with a rim of fat."""


def paint_muscles(brush: Brush, neck: NeckFrame, anatomy: Anatomy, scene: Scene = PLAIN) -> None:
    """Paint the muscles of both sides with fat between them."""
    neck = neck.moved(scene.muscles)
    for name, (degrees, course) in MUSCLES.items():
        grow = anatomy.scale * (1.0 if name == "longus" else 0.25 + 0.75 * anatomy.girth)
        knots = {k[0]: np.array(k[1:]) * grow for k in course}
        u, a, ru, ra = (neck.along(**{n: float(v[j]) for n, v in knots.items()}) for j in range(4))
        top, bottom = neck.level[course[0][0]], neck.level[course[-1][0]]
        seen = (neck.z < top + 12) & (neck.z > bottom - 12)
        for side in (-1, 1):
            x, y = neck.spine[0] + side * u, neck.spine[1] + a
            turn = side * np.radians(degrees)
            size = scene.muscle_size.get((name, side), 1.0)
            if name != "longus":
                rim = scene.fascia_mm
                brush.tube(x, y, ru * size + rim, ra * size + rim, scene.fat_hu * 0.6, turn, seen)
            flesh = scene.muscle_hu + 6 * np.sin(len(name))
            brush.tube(x, y, ru * size, ra * size, flesh, turn, seen)


def paint_ligaments(
    brush: Brush, neck: NeckFrame, anatomy: Anatomy, rng: np.random.Generator
) -> None:
    """Longitudinal ligaments with the discs they cover, yellow ligaments, nuchal septum."""
    s = anatomy.scale
    below_c2 = neck.between(neck.level["C2"] + 6, neck.z.min() - 5)
    brush.tube(*neck.spine, neck.body[0] + 2.6 * s, neck.body[1] + 3.0 * s, HU_DISC, 0.0, below_c2)
    dens = neck.between(neck.level["C1"] + 9, neck.level["C2"])
    brush.tube(neck.spine[0], neck.spine[1] + 1.0, 9.5 * s, 8.5 * s, HU_LIGAMENT, 0.0, dens)
    cx, cy = neck.canal
    spread, depth = neck.canal_radii
    brush.tube(cx, cy + 1.5, spread + 2.2, depth + 2.0, HU_LIGAMENT, 0.0, below_c2)
    bony = neck.between(neck.level["C2"] + 4, neck.z.min() - 5)
    tips = neck.along(C2=46, C4=42, C6=48, C7=56, T1=58, T3=60) * s
    inner = depth + (cy - neck.spine[1])
    middle = neck.spine[1] + (tips + inner) / 2
    brush.tube(cx, middle, 1.8 * s, (tips - inner) / 2 + 2, HU_MUSCLE - 8, 0.0, bony)
    back = neck.along(skull=82, C2=66, C4=60, C7=62) * anatomy.girth
    septum = neck.between(neck.level["C1"], neck.level["C7"])
    middle = neck.spine[1] + (tips + back) / 2 - 4
    brush.tube(cx, middle, 0.9, (back - tips) / 2 - 2, HU_LIGAMENT, 0.0, septum)
    if anatomy.age_years > 40 and rng.uniform() < 0.2:
        _ossify_nuchal(brush, neck, anatomy, rng)


def _ossify_nuchal(
    brush: Brush, neck: NeckFrame, anatomy: Anatomy, rng: np.random.Generator
) -> None:
    """A smooth ossicle in the nuchal ligament, which resembles a clay-shoveler's fracture."""
    name = str(rng.choice(("C5", "C6")))
    size = anatomy.shapes[name].size
    behind = size.depth / 2 + size.canal_depth + size.spinous + float(rng.uniform(7, 13))
    at = anatomy.poses[name].world((0.0, behind, -8.0), anatomy.scale)
    radii = (2.0, float(rng.uniform(2.5, 5)), float(rng.uniform(4, 9)))
    brush.ellipsoid(at, radii, bone_shade(950, 450, 1.0), margin_mm=2.0)


def paint_canal(brush: Brush, neck: NeckFrame, anatomy: Anatomy) -> None:
    """Epidural fat, fluid and cord; the cord swells at C5 and thins in the chest."""
    s = anatomy.scale
    cx, cy = neck.canal
    spread, depth = neck.canal_radii
    inside = neck.between(neck.level["skull"] + 30, neck.z.min() - 5)
    brush.tube(cx, cy, spread + 0.4, depth + 0.3, HU_FAT / 2, 0.0, inside)
    brush.tube(cx, cy - 0.5, spread - 2.4, depth - 1.0, HU_CSF, 0.0, inside)
    wide = neck.along(skull=6.6, C1=5.6, C3=6.2, C5=6.8, C7=6.0, T2=4.6, T3=4.4) * s
    deep = neck.along(skull=5.6, C1=4.4, C3=3.9, C5=3.7, C7=3.5, T2=3.3, T3=3.3) * s
    brush.tube(cx, cy - 0.5, wide, deep, HU_CORD, 0.0, inside)


def paint_vessels(
    brush: Brush,
    neck: NeckFrame,
    anatomy: Anatomy,
    push: Line,
    rng: np.random.Generator,
    scene: Scene = PLAIN,
) -> None:
    """Vertebral, carotid and jugular vessels; plaques in old people."""
    s, blood = anatomy.scale, anatomy.contrast_hu
    blood, vein = scene.blood_hu or (blood, blood)
    neck = neck.moved(scene.vessels)
    x, y = neck.spine
    everywhere = np.ones_like(neck.z)
    caliber = rng.normal(1.9, 0.3, 2).clip(1.2, 2.7) * s
    for side, course, r in zip((-1, 1), neck.arteries, caliber, strict=True):
        brush.tube(*course, r + 1.5 * s, r + 1.5 * s, HU_FAT / 2)
        brush.tube(*course, r, r, blood)
        u = neck.along(skull=24, C2=27, C4=26, C6=23, T1=19, T3=14) * s
        a = neck.along(skull=-12, C2=-14, C4=-21, C6=-23, T1=-30, T3=-36) * s - push
        wide = neck.along(C2=2.5, C4=4.4, C5=3.6, T3=4.0) * s
        brush.tube(x + side * (u + 2), y + a + 1, 13 * s, 9 * s, HU_FAT, 0.0, everywhere)
        veins = neck.along(skull=3.5, C3=5.0, C6=6.5, T2=6.5) * s * float(rng.uniform(0.7, 1.2))
        brush.tube(x + side * (u + 7.5 * s), y + a + 4 * s, veins, 0.75 * veins, vein)
        brush.tube(x + side * u, y + a, wide, wide, blood + 12)
        outer = neck.between(neck.level["C2"] + 15, neck.level["C4"] - 2)
        brush.tube(x + side * (u - 5 * s), y + a - 7 * s, 2.0 * s, 2.0 * s, blood + 12, 0.0, outer)
        if anatomy.age_years > 55 and rng.uniform() < 0.5:
            fork = neck.level["C4"] + float(rng.uniform(-4, 8))
            near = int(np.argmin(np.abs(neck.z - fork)))
            spot = np.array((x[near] + side * u[near] - 2.5, y[near] + a[near] + 2.5, fork))
            end = spot + np.array((1.0, 1.5, float(rng.uniform(2, 7))))
            brush.rod([tuple(spot), tuple(end)], (1.0, 0.8), plain(float(rng.uniform(500, 1000))))


def paint_glands(
    brush: Brush, neck: NeckFrame, anatomy: Anatomy, push: Line, scene: Scene = PLAIN
) -> None:
    """Thyroid, submandibular and parotid glands, a few lymph nodes."""
    neck = neck.moved(scene.glands)
    s = anatomy.scale
    x, y = neck.spine
    level = neck.level
    for side in (-1, 1):
        thyroid = neck.between(level["C6"] + 6, level["T1"] - 4, 4)
        brush.tube(x + side * 18 * s, y - 34 * s - push, 7 * s * thyroid, 10 * s * thyroid,
                   HU_THYROID, side * 0.2, thyroid)  # fmt: skip
        jaw = neck.between(level["C2"] - 4, level["C4"] + 2, 5)
        brush.tube(x + side * 33 * s, y - 44 * s, 9 * s * jaw, 13 * s * jaw, HU_GLAND, 0.0, jaw)
        ear = neck.between(level["skull"], level["C2"] - 8, 6)
        brush.tube(x + side * 58 * s, y - 16 * s, 9 * s * ear, 16 * s * ear, HU_PAROTID, 0.0, ear)
        node = neck.between(level["C3"], level["C3"] - 7, 3)
        brush.tube(x + side * 39 * s, y - 8 * s, 3 * node, 4 * node, HU_GLAND, 0.0, node)

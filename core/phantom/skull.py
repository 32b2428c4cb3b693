"""Base of the skull, jaws and teeth; they move with C1."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush, bone_shade, plain
from core.phantom.canvas import Canvas
from core.phantom.posture import Pose, rotation
from core.phantom.scene import PLAIN, Scene
from core.phantom.sdf import Field, Points, Vec3, ellipse, ellipsoid, wall
from core.phantom.upper_cervical import CONDYLE_RISE

HU_AIR, HU_BRAIN, HU_ENAMEL, HU_DENTINE, HU_METAL = -990.0, 34.0, 2300.0, 1500.0, 9000.0
BASION, OPISTHION = (0.0, -9.5, 13.0), (0.0, 26.0, 12.0)
"""Front and back edge of the foramen magnum in C1's frame, mm of an average adult."""
CONDYLE_PIVOT = (0.0, -4.0, 20.0)
"""Where the head turns on C1, in C1's frame, mm of an average adult."""
DENTAL_A, DENTAL_BOW = -91.0, 0.037
"""The dental arch: a = DENTAL_A + DENTAL_BOW u^2, mm."""
LOWER_ROW_MM, UPPER_ROW_MM = -21.0, -9.0
"""Heights of the necks of the lower and upper teeth."""


def paint_head(brush: Brush, anatomy: Anatomy, nod: float, scene: Scene = PLAIN) -> None:
    """Paint the head within the field of view.

    Args:
        brush: Brush on the volume.
        anatomy: The person.
        nod: Flexion of the head against its neutral pose over C1, radians.
        scene: Surroundings; the classic ones by default.
    """
    pose = head_pose(anatomy, nod)
    s = anatomy.scale
    hard = anatomy.cortex_hu + 120
    _soften(brush, pose, s)
    brush.bone(_skull(), pose, s, bone_shade(hard, 560.0, 1.5))
    jaws = jaw_pose(pose, scene, s)
    brush.bone(_mandible(), jaws, s, bone_shade(hard + 150, 380.0, 2.2))
    _paint_cavities(brush, pose, s)
    _paint_teeth(brush, anatomy, jaws)


def jaw_pose(head: Pose, scene: Scene, scale: float) -> Pose:
    """The frame of jaws and teeth: the head's, moved as in the scene."""
    if not any(scene.jaw_mm):
        return head
    return Pose(head.world(scene.jaw_mm, scale), head.axes)


def head_pose(anatomy: Anatomy, nod: float) -> Pose:
    """The frame of C1, rotated at its joints so that the face points more nearly straight up."""
    c1 = anatomy.poses["C1"]
    pitch = float(np.arctan2(-c1.axes[2][1], c1.axes[2][2]))
    axes = rotation(float(np.clip(nod - 0.7 * pitch, -0.26, 0.26)), 0.0, 0.0) @ c1.axes
    pivot = anatomy.scale * np.array(CONDYLE_PIVOT)
    return Pose(c1.origin + pivot @ c1.axes - pivot @ axes, axes)


@lru_cache(maxsize=1)
def _skull() -> Canvas:
    canvas = Canvas((-72, -98, -24), (72, 84, 52), 0.9)
    canvas.add(_vault, (-68, -14, 6), (68, 84, 52))
    canvas.carve(_foramen_magnum, (-16, -10, 0), (16, 27, 40))
    for side in (-1, 1):
        canvas.add(
            lambda p, side=side: _condyle(p, side),
            (side * 16 - 9, -16, 4), (side * 16 + 9, 8, 28), blend=3.0,
        )  # fmt: skip
        canvas.strut((side * 19, 0, 16), (side * 30, 10, 22), 5.0, 5.0, blend=4.0)
        canvas.strut((side * 20, -14, 30), (side * 50, 8, 30), 8.5, 11.0, blend=3.0)
        canvas.strut((side * 52, 8, 24), (side * 53, 1, 2), 10.0, 5.5, blend=3.0)
        canvas.strut((side * 52, -16, 34), (side * 60, -40, 26), 4.0, 2.8)
        canvas.strut((side * 60, -40, 26), (side * 48, -70, 18), 2.8, 4.5)
        canvas.chain(
            [(side * 36, -9, 12, 2.0), (side * 33, -15, -4, 1.5), (side * 30, -21, -20, 1.0)]
        )
        canvas.chain(
            [(side * 13, -42, 34, 2.2), (side * 14, -44, 14, 1.6), (side * 15.5, -44, -2, 1.5)]
        )
        canvas.chain(
            [(side * 13, -42, 34, 2.2), (side * 18, -40, 14, 1.4), (side * 20, -38, 0, 1.1)]
        )
        canvas.add(
            lambda p, side=side: _sinus_wall(p, side),
            (side * 26 - 17, -90, -4), (side * 26 + 17, -46, 40),
        )  # fmt: skip
    for u in (-9, 0, 9):
        canvas.strut((u, -9.5 - abs(u) * 0.15, 13.5), (u * 0.8, -31, 42), 3.4, 4.6, blend=3.0)
    canvas.add(
        lambda p: np.maximum(
            np.abs(p[2] - 2) - np.float32(1.3),
            ellipse(p[0], p[1] + 50, 26, 40) * (p[1] < -48) + (p[1] + 48).clip(0),
        ),
        (-27, -92, -1), (27, -46, 5),
    )  # fmt: skip
    canvas.add(
        lambda p: wall(p, [(u, a) for u, a in _row(1.0)], 9.5, -10.0, 3.5),
        (-36, -97, -12), (36, -44, 5),
    )  # fmt: skip
    canvas.roughen((0.4, 1.9, 2.7, 0.2, 1.3, 2.2), 0.5)
    canvas.distance.setflags(write=False)
    return canvas


@lru_cache(maxsize=1)
def _mandible() -> Canvas:
    canvas = Canvas((-60, -104, -66), (60, -8, 30), 0.9)

    def body(p: Points) -> Field:
        lean = p[2] - np.float32(0.18) * (p[1] + 60)
        return wall((p[0], p[1], lean), _jaw_arch(), 9.5, -49.0, -24.0)

    canvas.add(body, (-54, -102, -62), (54, -26, -12))
    canvas.chain([(-8, -93, -50, 5.0), (0, -95, -50, 5.5), (8, -93, -50, 5.0)], blend=3.0)
    for side in (-1, 1):
        canvas.add(
            lambda p, side=side: wall(
                (p[0], p[1] - np.float32(0.22) * p[2], p[2]),
                [(side * 48.5, -22), (side * 46, -50)], 6.5, -44.0, 4.0,
            ),
            (side * 47 - 7, -64, -48), (side * 47 + 7, -10, 6), blend=3.0,
        )  # fmt: skip
        canvas.strut((side * 48.5, -20, 0), (side * 50, -17, 20), 3.4, 4.2, blend=3.0)
        canvas.strut((side * 46, -46, 0), (side * 45.5, -43, 16), 3.0, 1.6, blend=3.0)
    canvas.distance.setflags(write=False)
    return canvas


def _vault(p: Points) -> Field:
    inner = ellipsoid(p, (0, 27, 59), (56, 57, 46.5))
    shell = np.abs(inner - np.float32(2.1)) - np.float32(2.1)
    return np.maximum(shell, np.float32(-14) - p[1])


def _foramen_magnum(p: Points) -> Field:
    middle = (BASION[1] + OPISTHION[1]) / 2
    return ellipse(p[0], p[1] - np.float32(middle), 15.0, (OPISTHION[1] - BASION[1]) / 2)


def _condyle(p: Points, side: int) -> Field:
    """Condyle about 2 mm above C1's upper joint surface."""
    out = np.float32(side) * p[0] - np.float32(17.4)
    u, a = np.float32(side) * p[0] - np.float32(15.8), p[1] + np.float32(3.8)
    turn = np.float32(np.radians(22))
    plan = ellipse(
        np.cos(turn) * u + np.sin(turn) * a, np.cos(turn) * a - np.sin(turn) * u, 6.6, 10.0
    )
    bulge = np.float32(1.5) * np.exp(-((out / 5) ** 2) - (a / 6) ** 2)
    floor = np.float32(7.2) + np.float32(CONDYLE_RISE) * out - bulge
    return np.maximum(plan, np.maximum((floor - p[2]) * np.float32(0.91), p[2] - 26))


def _sinus_wall(p: Points, side: int) -> Field:
    hollow = ellipsoid(p, (side * 26, -68, 18), (12.5, 18, 17))
    return np.abs(hollow - np.float32(0.7)) - np.float32(0.9)


def _row(size: float) -> list[tuple[float, float]]:
    """The dental arch from right to left, (u, a), as a parabola."""
    u = np.linspace(-30, 30, 13) * size
    return [(float(v), float(DENTAL_A + DENTAL_BOW * v * v)) for v in u]


def _jaw_arch() -> list[tuple[float, float]]:
    """The lower jaw's body from right to left, (u, a)."""
    u = np.linspace(-46, 46, 13)
    return [(float(v), float(-34 - 60 * (1 - (abs(v) / 46) ** 1.8))) for v in u]


def _soften(brush: Brush, pose: Pose, s: float) -> None:
    """Brain and cerebellum above the foramen magnum."""
    radii = (s * 57, s * 58, s * 47.5)
    brush.ellipsoid(pose.world((0.0, 27.0, 59.0), s), radii, plain(HU_BRAIN))


def _paint_cavities(brush: Brush, pose: Pose, s: float) -> None:
    """Sinuses, nasal cavity, mastoid cells and ear canals."""

    def hollow(at: Vec3, radii: Vec3) -> None:
        ru, ra, rh = radii
        brush.ellipsoid(pose.world(at, s), (s * ru, s * ra, s * rh), plain(HU_AIR))

    for side in (-1, 1):
        hollow((side * 26, -68, 18), (12, 17.5, 16.5))
        hollow((side * 5.5, -70, 16), (4.0, 24, 12))
        canal = [pose.world(end, s) for end in ((side * 46, -8, 25), (side * 76, -9, 25))]
        brush.rod(canal, (2.6, 3.4), plain(HU_AIR))
        for k in range(9):
            turn = 2.4 * k
            spot = (side * (52 + 4.5 * np.sin(turn)), 5 + 4.5 * np.cos(1.7 * turn), 4 + 2.6 * k)
            hollow(spot, (2.3, 2.4, 2.2))


def _paint_teeth(brush: Brush, anatomy: Anatomy, pose: Pose) -> None:
    """Roots, crowns and fillings, tooth by tooth."""
    s = anatomy.scale
    spots = np.linspace(-29, 29, 16)
    jaws = ((anatomy.dentition.upper, UPPER_ROW_MM, 1), (anatomy.dentition.lower, LOWER_ROW_MM, -1))
    for teeth, neck, up in jaws:
        for state, u in zip(teeth, spots, strict=True):
            if not state:
                continue
            a = DENTAL_A + DENTAL_BOW * u * u
            molar = abs(u) > 17
            r = s * (3.9 if molar else 2.9)

            def at(h: float, u: float = u, a: float = a) -> NDArray[np.float64]:
                return pose.world((u, a, h), s)

            brush.rod([at(neck), at(neck + up * 10.0)], (0.75 * r, 0.4 * r), plain(HU_DENTINE))
            crown = bone_shade(HU_ENAMEL, HU_DENTINE, 0.7)
            brush.rod([at(neck), at(neck - up * 3.5)], (0.9 * r, r), crown)
            if state == 2:
                brush.rod([at(neck - up * 4.2), at(neck - up * 5.0)], (1.8, 2.1), plain(HU_METAL))

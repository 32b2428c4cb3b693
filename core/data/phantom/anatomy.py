"""One person's neck: sizes, posture and where each vertebra stands.

Sizes follow the ranges reported for adults by Panjabi et al. 1991 ("Cervical human vertebrae",
Spine 16:861-869) and Francis 1955 ("Dimensions of the cervical vertebrae", Anat Rec 122:603-609),
rounded to half a millimetre and scaled by person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE

LEVELS = (*VERTEBRAE, "T1", "T2")


@dataclass(frozen=True, slots=True)
class VertebraSize:
    """Dimensions in mm: body (width, depth, height), canal, and processes."""

    width: float
    depth: float
    height: float
    canal_depth: float
    canal_width: float
    spinous: float
    transverse: float
    bifid: bool
    foramina: bool


SIZES = {
    "C1": VertebraSize(0.0, 0.0, 12.0, 30.0, 28.0, 0.0, 38.0, False, True),
    "C2": VertebraSize(18.0, 15.5, 20.0, 18.0, 24.5, 17.0, 26.0, True, True),
    "C3": VertebraSize(17.0, 15.0, 13.5, 15.0, 23.0, 13.0, 26.0, True, True),
    "C4": VertebraSize(17.5, 15.5, 13.0, 14.5, 23.5, 14.0, 26.5, True, True),
    "C5": VertebraSize(18.5, 15.5, 13.0, 14.5, 24.0, 16.5, 27.5, True, True),
    "C6": VertebraSize(20.0, 16.5, 13.0, 14.5, 24.5, 22.0, 29.0, True, True),
    "C7": VertebraSize(23.0, 17.0, 15.0, 15.0, 24.0, 32.0, 33.0, False, True),
    "T1": VertebraSize(28.0, 17.5, 16.5, 15.5, 21.0, 33.0, 35.0, False, False),
    "T2": VertebraSize(28.0, 18.0, 17.5, 15.5, 18.0, 31.0, 33.0, False, False),
}


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where a vertebra stands: origin in LPS mm, and its axes as rows (u, a, h) of a rotation."""

    origin: NDArray[np.float64]
    axes: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One person.

    Attributes:
        scale: Size relative to the table, about 0.88 (small woman) to 1.10 (tall man).
        poses: By level, C1..T2.
        cortex_mm: Thickness of the cortical shell.
        cortex_hu: HU of compact bone.
        trabecular_hu: Mean HU of spongy bone; low in the old.
        disc_mm: Disc height.
        girth: Soft-tissue girth relative to the average.
        contrast_hu: Vessel HU.
        teeth: Whether the jaw has them.
    """

    scale: float
    poses: dict[str, Pose]
    cortex_mm: float
    cortex_hu: float
    trabecular_hu: float
    disc_mm: float
    girth: float
    contrast_hu: float
    teeth: bool

    def level_z(self) -> NDArray[np.float64]:
        """z in LPS mm of C1..T2, decreasing."""
        return np.array([self.poses[name].origin[2] for name in LEVELS])


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw one person; C4 stands near the origin of the LPS frame."""
    scale = float(np.clip(rng.normal(0.99, 0.055), 0.86, 1.12))
    age = rng.uniform(0, 1)
    disc = scale * float(rng.uniform(4.2, 6.0)) * (1 - 0.35 * age * rng.uniform(0, 1))
    return Anatomy(
        scale=scale,
        poses=_stack(rng, scale, disc),
        cortex_mm=float(rng.uniform(1.0, 1.5)),
        cortex_hu=float(rng.uniform(850, 1250) - 150 * age),
        trabecular_hu=float(rng.uniform(260, 420) - 120 * age),
        disc_mm=disc,
        girth=float(np.clip(rng.normal(1.0, 0.09), 0.8, 1.25)),
        contrast_hu=float(rng.choice([45.0, 45.0, 220.0])),
        teeth=bool(rng.uniform() < 0.85),
    )


def _stack(rng: np.random.Generator, scale: float, disc: float) -> dict[str, Pose]:
    """Stack the vertebrae from T2 up along a lordotic, slightly scoliotic curve."""
    top, bottom = np.radians(rng.uniform(-14, 6)), np.radians(rng.uniform(8, 26))
    bend, twist = np.radians(rng.normal(0, 3.0)), np.radians(rng.normal(0, 5.0))
    tilt = np.radians(rng.normal(0, 2.0))
    names = LEVELS[:0:-1]
    position = np.zeros(3)
    poses: dict[str, Pose] = {}
    for k, name in enumerate(names):
        share = k / (len(names) - 1)
        pitch = bottom + (top - bottom) * share + np.radians(rng.normal(0, 1.5))
        axes = _axes(
            pitch,
            roll=tilt + bend * np.sin(np.pi * share) + np.radians(rng.normal(0, 0.8)),
            yaw=twist * share + np.radians(rng.normal(0, 1.0)),
        )
        if poses:
            below = SIZES[names[k - 1]].height
            step = scale * (below + SIZES[name].height) / 2 + disc
            position = position + axes[2] * step
        poses[name] = Pose(position.copy(), axes)
    c2 = poses["C2"]
    yaw = float(np.radians(rng.normal(0, 6.0)))
    axes = _axes(float(np.arcsin(-c2.axes[2][1])) + np.radians(rng.normal(0, 2)), tilt, yaw)
    offset = c2.axes[1] * 5.5 + c2.axes[2] * (21.5 + rng.normal(0, 0.6))
    poses["C1"] = Pose(c2.origin + scale * offset, axes)
    shift = poses["C4"].origin + np.array([rng.normal(0, 5), rng.normal(0, 5), 0.0])
    return {name: Pose(poses[name].origin - shift, poses[name].axes) for name in LEVELS}


def _axes(pitch: float, roll: float, yaw: float) -> NDArray[np.float64]:
    """Rows u, a, h; a positive pitch leans the vertebra's top to the front (-y)."""
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    cy, sy = np.cos(yaw), np.sin(yaw)
    lean = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    side = np.array([[cr, 0, -sr], [0, 1, 0], [sr, 0, cr]])
    turn = np.array([[cy, sy, 0], [-sy, cy, 0], [0, 0, 1]])
    return lean @ side @ turn

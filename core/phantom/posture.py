"""Posture of the cervical spine: lordosis, flexion, rotation, scoliosis; and matching joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.phantom.sdf import Points
from core.phantom.shapes import Facets, VertebraShape
from core.phantom.sizes import LEVELS, SIZES
from core.phantom.upper_cervical import ATLAS_ORIGIN

JOINT_SLOPE = {"C2": 0.85, "C3": 0.95, "C4": 1.0, "C5": 1.0, "C6": 1.1, "C7": 1.4, "T1": 1.8,
               "T2": 2.1}  # fmt: skip
"""Fall of the facet joint below each level per mm to the back (Panjabi et al. 1993)."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Pose of a vertebra: origin in LPS mm, and its axes as rows (u, a, h) of a rotation."""

    origin: NDArray[np.float64]
    axes: NDArray[np.float64]

    def world(self, points: ArrayLike, scale: float) -> NDArray[np.float64]:
        """Points (u, a, h) of the frame, (3,) or (n, 3), in LPS mm; `scale` is the person's."""
        return self.origin + scale * np.asarray(points) @ self.axes

    def local(self, points: Points, scale: float) -> Points:
        """LPS mm to the frame (u, a, h), in mm of an average adult."""
        d = [p - np.float32(o) for p, o in zip(points, self.origin, strict=True)]
        rows = (self.axes / scale).astype(np.float32)
        u, a, h = ((r[0] * d[0] + r[1] * d[1]) + r[2] * d[2] for r in rows)
        return u, a, h


@dataclass(frozen=True, slots=True)
class Posture:
    """Angles in radians; pitch is positive where a vertebra's top leans to the front.

    Attributes:
        bottom: Pitch of T3.
        top: Pitch of C2; below `bottom` the neck is lordotic.
        kink: Extra flexion between C5 and C6.
        tilt: The whole neck's lean to a side.
        bend: Scoliosis: an arc to one side.
        twist: Rotation of C2 against T3.
        turn: Rotation of C1 against C2.
        nod: Flexion of C1 against C2.
    """

    bottom: float
    top: float
    kink: float
    tilt: float
    bend: float
    twist: float
    turn: float
    nod: float


def sample_posture(age_years: float, rng: np.random.Generator) -> Posture:
    """Draw the posture of a supine patient, often in a collar."""
    stoop = np.clip((age_years - 60) / 30, 0, 1) * rng.uniform(0, 14)
    flexed = rng.normal(0, 6)
    degrees = (
        rng.uniform(12, 30) + stoop,
        np.clip(rng.uniform(-9, 7) + flexed, -16, 18),
        rng.normal(0, 2),
        rng.normal(0, 2.0),
        rng.normal(0, 3.5),
        rng.normal(0, 5.0),
        rng.normal(0, 6.0) if rng.uniform() < 0.9 else rng.normal(0, 16.0),
        rng.normal(0, 2.0),
    )
    return Posture(*(float(np.radians(d)) for d in degrees))


def stack(
    rng: np.random.Generator, posture: Posture, scale: float, discs: dict[str, float]
) -> dict[str, Pose]:
    """Stack the vertebrae from T3 up; C4 is near the origin."""
    names = LEVELS[:0:-1]
    position = np.zeros(3)
    poses: dict[str, Pose] = {}
    for k, name in enumerate(names):
        share = k / (len(names) - 1)
        pitch = posture.bottom + (posture.top - posture.bottom) * share**0.8
        pitch += posture.kink * (LEVELS.index(name) <= LEVELS.index("C5"))
        sway = posture.bend * np.sin(2 * np.pi * share)
        axes = rotation(
            pitch + np.radians(rng.normal(0, 1.0)),
            roll=posture.tilt + sway + np.radians(rng.normal(0, 0.7)),
            yaw=posture.twist * share + np.radians(rng.normal(0, 0.8)),
        )
        if poses:
            below = names[k - 1]
            half = scale * SIZES[below].height / 2 + discs[name] / 2
            position = position + poses[below].axes[2] * half
            position = position + axes[2] * (scale * SIZES[name].height / 2 + discs[name] / 2)
        poses[name] = Pose(position.copy(), axes)
    poses["C1"] = _atlas_pose(poses["C2"], posture, scale)
    shift = poses["C4"].origin + np.array([rng.normal(0, 5), rng.normal(0, 5), 0.0])
    return {name: Pose(poses[name].origin - shift, poses[name].axes) for name in LEVELS}


def dislocate(
    poses: dict[str, Pose], vertebra: str, slip_mm: float, rng: np.random.Generator
) -> dict[str, Pose]:
    """Slip all vertebrae above one to the front, up over its joints, and tilt them forward.

    Args:
        poses: Poses by level; not changed.
        vertebra: The vertebra below the slip.
        slip_mm: Way to the front.
        rng: Random generator.
    """
    base = poses[vertebra]
    way = -slip_mm * base.axes[1] + 0.35 * slip_mm * base.axes[2]
    turn = rotation(float(np.radians(rng.uniform(0, 9))), 0.0, float(np.radians(rng.normal(0, 4))))
    above = LEVELS[: LEVELS.index(vertebra)]
    # Turned in the frame of the vertebra below, about its middle.
    about = base.axes.T @ turn @ base.axes
    moved = {
        name: Pose(
            base.origin + (poses[name].origin - base.origin) @ about + way,
            poses[name].axes @ about,
        )
        for name in above
    }
    return poses | moved


def fit_facets(
    shapes: dict[str, VertebraShape], poses: dict[str, Pose], scale: float, gap_mm: float
) -> dict[str, VertebraShape]:
    """End the pillars of neighbours on a common plane with a joint space of `gap_mm` between."""
    fitted = dict(shapes)
    for upper, lower in pairwise(LEVELS[1:]):
        slope = JOINT_SLOPE[upper]
        along = sum(poses[n].axes.T @ (0.0, slope, 1.0) for n in (upper, lower))
        normal = along / np.linalg.norm(along)
        middle = np.mean(
            [_pillar(shapes[n], poses[n], scale) for n in (upper, lower)], axis=0
        )  # fmt: skip
        for name, end in ((upper, "bottom"), (lower, "top")):
            n = poses[name].axes @ normal
            to_plane = float((middle - poses[name].origin) @ normal) / scale
            to_plane += (0.5 if end == "bottom" else -0.5) * gap_mm / scale
            height = (to_plane - n[1] * shapes[name].size.pillar_a) / n[2]
            facets: Facets = fitted[name].facets
            new = {end: float(height), f"slope_{end}": float(n[1] / n[2])}
            fitted[name] = replace(fitted[name], facets=replace(facets, **new))
    return fitted


def rotation(pitch: float, roll: float, yaw: float) -> NDArray[np.float64]:
    """Rows u, a, h; a positive pitch leans the vertebra's top to the front (-y)."""
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    cy, sy = np.cos(yaw), np.sin(yaw)
    lean = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    side = np.array([[cr, 0, -sr], [0, 1, 0], [sr, 0, cr]])
    turn = np.array([[cy, sy, 0], [-sy, cy, 0], [0, 0, 1]])
    return lean @ side @ turn


def _pillar(shape: VertebraShape, pose: Pose, scale: float) -> NDArray[np.float64]:
    return pose.origin + pose.axes[1] * scale * shape.size.pillar_a


def _atlas_pose(c2: Pose, posture: Posture, scale: float) -> Pose:
    """C1 turns about the dens, which keeps its distance to the front arch."""
    turned = rotation(posture.nod, 0.0, posture.turn) @ c2.axes
    dens = c2.origin + scale * (c2.axes[1] * -1.4 + c2.axes[2] * ATLAS_ORIGIN[2])
    return Pose(dens + scale * turned[1] * (ATLAS_ORIGIN[1] + 1.4), turned)

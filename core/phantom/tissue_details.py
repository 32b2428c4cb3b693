"""Small things anywhere in the neck, independent of a vertebra's level: nodes, clips, gas."""

from __future__ import annotations

import numpy as np

from core.phantom.brush import Brush, plain
from core.phantom.neck_frame import NeckFrame
from core.phantom.sdf import Vec3

KINDS = (
    ("node", 0.55, (20.0, 90.0), (2.0, 7.0)),
    ("fat", 0.2, (-115.0, -80.0), (2.0, 8.0)),
    ("calcified", 0.17, (250.0, 1100.0), (0.6, 2.2)),
    ("clip", 0.08, (2600.0, 7000.0), (0.6, 1.2)),
)
"""(name, share, HU, radius in mm)."""


def add_nodes(brush: Brush, neck: NeckFrame, count: int, rng: np.random.Generator) -> None:
    """Paint lymph nodes, fat lobules, calcified spots and surgical clips.

    Args:
        brush: Brush on the volume.
        neck: Courses through the neck.
        count: Number of bodies; without any the generator is not used.
        rng: Random generator.
    """
    for _ in range(count):
        _, _, densities, radii = KINDS[int(rng.choice(len(KINDS), p=[k[1] for k in KINDS]))]
        radius = rng.uniform(*radii) * rng.uniform(0.7, 1.5, 3)
        _spot(brush, neck, rng, (22, 62), radius, float(rng.uniform(*densities)))


def add_gas(brush: Brush, neck: NeckFrame, rng: np.random.Generator) -> None:
    """Paint gas between the tissues, as in emphysema or post mortem: strings of bubbles."""
    for _ in range(int(rng.integers(2, 9))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(16, 60)
        z = float(rng.uniform(neck.z.min(), neck.z.max()))
        for _ in range(int(rng.integers(4, 16))):
            angle += rng.normal(0, 0.12)
            away = max(away + rng.normal(0, 2.5), 14)
            z += float(rng.normal(0, 4))
            radius = rng.uniform(0.8, 4.0) * rng.uniform(0.5, 1.6, 3)
            x, y = neck.place(neck.spine, z)
            at = (x + away * np.sin(angle), y + away * np.cos(angle), z)
            density = float(rng.uniform(-980, -500))
            if _in_body(brush, at):
                brush.ellipsoid(at, _vec3(radius), plain(density))


def _spot(
    brush: Brush,
    neck: NeckFrame,
    rng: np.random.Generator,
    away_mm: tuple[float, float],
    radii: np.ndarray,
    density: float,
) -> None:
    """Paint one body at a random place around the spine."""
    z = float(rng.uniform(neck.z.min(), neck.z.max()))
    x, y = neck.place(neck.spine, z)
    angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(*away_mm)
    at = (x + away * np.sin(angle), y + away * np.cos(angle), z)
    if _in_body(brush, at):
        brush.ellipsoid(at, _vec3(radii), plain(density))


def _in_body(brush: Brush, at: tuple[float, float, float]) -> bool:
    """Whether a point (x, y, z) in mm lies in the body."""
    pairs = ((brush.z, at[2]), (brush.y, at[1]), (brush.x, at[0]))
    k, j, i = (int(np.argmin(np.abs(axis - np.float32(v)))) for axis, v in pairs)
    return bool(brush.hu[k, j, i] > -300)


def _vec3(values: np.ndarray) -> Vec3:
    first, second, third = values.tolist()
    return first, second, third

"""Everything but the cervical vertebrae: skin, muscle, airway, vessels, skull, jaw, head rest."""

from __future__ import annotations

import cv2
import numpy as np

from core.phantom.airway import paint_airway
from core.phantom.anatomy import Anatomy
from core.phantom.brush import Brush
from core.phantom.chest import paint_chest
from core.phantom.grid import Grid
from core.phantom.neck_frame import NeckFrame, neck_frame
from core.phantom.neck_tissue import (
    paint_canal,
    paint_glands,
    paint_ligaments,
    paint_muscles,
    paint_vessels,
)
from core.phantom.posture import Pose
from core.phantom.scene import PLAIN, Scene
from core.phantom.sdf import Field, ellipse
from core.phantom.skull import head_pose, jaw_pose, paint_head
from core.phantom.supports import paint_collar, paint_lines, paint_support
from core.phantom.tissue_details import add_gas, add_nodes

HU_AIR, HU_SKIN = -1000.0, 15.0
CHIN_MM = -66.0
"""Height of the skin below the chin in the head's frame, mm of an average adult."""

SKIN = {
    "skull": (77, 108, 90), "C1": (75, 106, 84), "C2": (70, 100, 74), "C3": (65, 90, 64),
    "C4": (60, 66, 60), "C5": (59, 58, 61), "C6": (62, 56, 64), "C7": (66, 60, 70),
    "T1": (72, 66, 78), "T2": (80, 76, 84), "T3": (88, 88, 88),
}  # fmt: skip
"""Half width, front and back of the skin from the spine without the shoulders, mm, by level."""


def paint_soft_tissue(
    grid: Grid,
    anatomy: Anatomy,
    swellings: list[tuple[float, float]],
    rng: np.random.Generator,
    scene: Scene = PLAIN,
) -> Field:
    """HU of the neck without its vertebrae, float32 (z, y, x).

    Fillings exceed 3000 HU before the scanner clips them; their streaks are the scanner's.

    Args:
        grid: Voxels to fill.
        anatomy: The person.
        swellings: (z_mm, extra depth in mm) of prevertebral swellings.
        rng: Random generator of the texture.
        scene: Surroundings; the classic ones by default.
    """
    nod = float(np.radians(rng.normal(0, 2.0)))
    nod = nod if scene.nod_deg is None else float(np.radians(scene.nod_deg))
    neck = neck_frame(grid, anatomy, nod)
    push = np.zeros_like(neck.z)
    for at, depth in swellings:
        push += depth * np.exp(-(((neck.z - at) / (14 * anatomy.scale)) ** 2))
    hu = np.full((grid.n_slices, grid.matrix, grid.matrix), HU_AIR, dtype=np.float32)
    skin = _skin_distance(grid, neck, anatomy, head_pose(anatomy, nod), scene)
    _paint_ground(hu, skin, rng, scene)
    brush = Brush(hu, grid)
    paint_muscles(brush, neck, anatomy, scene)
    fat_mm = float(2.5 + 4.5 * anatomy.girth * rng.uniform(0.5, 1.4))
    _paint_skin(hu, skin, grid, scene.skin_fat_mm or fat_mm, scene)
    paint_airway(brush, neck, anatomy, push, rng, scene)
    paint_vessels(brush, neck, anatomy, push, rng, scene)
    paint_glands(brush, neck, anatomy, push, scene)
    add_nodes(brush, neck, scene.nodes, rng)
    paint_head(brush, anatomy, nod, scene)
    paint_chest(brush, neck, anatomy, scene)
    if scene.gas:
        add_gas(brush, neck, rng)
    paint_ligaments(brush, neck, anatomy, rng)
    paint_canal(brush, neck, anatomy)
    _paint_around(hu, skin, grid, scene, rng)
    return hu


def _paint_around(
    hu: Field, skin: Field, grid: Grid, scene: Scene, rng: np.random.Generator
) -> None:
    """What lies on the skin or under the head."""
    if scene.support == "headrest":
        _paint_head_rest(hu, grid, rng)
    else:
        paint_support(hu, grid, scene.support, rng)
    if scene.collar:
        paint_collar(hu, skin, grid, rng)
    if scene.lines:
        paint_lines(hu, skin, grid, rng)


def skin_radii(z: Field, neck: NeckFrame, anatomy: Anatomy) -> tuple[Field, Field, Field]:
    """Half width, front and back of the skin from the spine in mm, at each slice, with shoulders.

    Args:
        z: Heights of the slices in mm.
        neck: Courses through the neck.
        anatomy: The person.
    """
    radii = [neck.along(**{n: float(v[k]) for n, v in SKIN.items()}) for k in range(3)]
    width, front, back = (r * anatomy.girth for r in radii)
    below = neck.level["C7"] - anatomy.shoulder_mm - z
    shoulders = 62 + 150 * np.sqrt(np.clip(below / 45, 0, 1))
    slope = 62 + 1.5 * np.clip(below + 42, 0, 55)
    width = np.maximum(width, np.maximum(shoulders, slope) * anatomy.girth)
    return width, front, back


def _skin_distance(
    grid: Grid, neck: NeckFrame, anatomy: Anatomy, head: Pose, scene: Scene
) -> Field:
    """Signed distance in mm to the skin in plane, negative inside, float32 (z, y, x)."""
    radii = skin_radii(neck.z, neck, anatomy)
    if scene.skin != PLAIN.skin:
        radii = _moved_radii(radii, neck, anatomy, scene)
    width, front, back = (v.astype(np.float32) for v in radii)
    head = jaw_pose(head, scene, anatomy.scale)
    x, y = grid.x()[None, :], grid.y()[:, None]
    s = anatomy.scale
    skin = np.empty((grid.n_slices, grid.matrix, grid.matrix), dtype=np.float32)
    for k, z in enumerate(neck.z):
        middle = np.float32(neck.spine[1][k] + (back[k] - front[k]) / 2)
        u, a = x - np.float32(neck.spine[0][k]), y - middle
        skin[k] = ellipse(u, a, width[k], (front[k] + back[k]) / 2)
        if scene.outline:
            skin[k] += _waves(u, a, float(z), scene)
        h = float(z - head.origin[2]) / (s * head.axes[2][2])
        if h < CHIN_MM:
            continue
        center = head.world((0.0, -44.0, h), s)
        full = np.sqrt(min((h - CHIN_MM) / 22, 1.0))
        jaw = ellipse(
            x - np.float32(center[0]), y - np.float32(center[1]), s * 60 * full, s * 64 * full
        )
        skin[k] = np.minimum(skin[k], jaw)
    return skin


def _moved_radii(
    radii: tuple[Field, Field, Field], neck: NeckFrame, anatomy: Anatomy, scene: Scene
) -> tuple[Field, Field, Field]:
    """Radii of an outline that is moved along the neck, but still covers the skull and shoulders.

    Args:
        radii: Those of the unmoved outline.
        neck: Courses through the neck.
        anatomy: The person.
        scene: Surroundings.
    """
    head = neck.between(neck.z.max() + 50, neck.level["skull"] - 12, 10)
    moved = skin_radii(neck.z, neck.moved(scene.skin), anatomy)
    width, front, back = (np.maximum(m, head * r) for m, r in zip(moved, radii, strict=True))
    return np.maximum(width, radii[0] * (radii[0] > 90 * anatomy.girth)), front, back


def _waves(u: Field, a: Field, z: float, scene: Scene) -> Field:
    """Distance in mm by which folds and bulges move the outline in one slice."""
    angle = np.arctan2(u, a)
    rise = np.zeros_like(angle)
    for order, amplitude, phase, drift in scene.outline:
        rise += np.float32(amplitude) * np.cos(order * angle + np.float32(phase + drift * z))
    return rise


def _paint_ground(hu: Field, skin: Field, rng: np.random.Generator, scene: Scene) -> None:
    """Flesh marbled with fat everywhere below the skin."""
    edge = max(skin.shape[1] // scene.grain_px, 8)
    for k, plane in enumerate(skin):
        noise = rng.standard_normal((edge, edge), dtype=np.float32)
        grain = cv2.resize(noise, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)
        seam = np.clip(1 - np.abs(grain) * 5, 0, 1) * np.float32(0.6)
        marbled = seam * np.float32(scene.marbling * (scene.fat_hu - scene.muscle_hu))
        uneven = np.float32(6 * scene.marbling) * grain
        flesh = np.float32(scene.muscle_hu - 14) + uneven + marbled
        np.copyto(hu[k], flesh, where=plane < 3)


def _paint_skin(hu: Field, skin: Field, grid: Grid, fat_mm: float, scene: Scene) -> None:
    """Cut everything off at the skin and lay fat below it."""
    px = np.float32(grid.pixel_mm)
    for plane, depth in zip(hu, skin, strict=True):
        shallow = np.clip((depth + np.float32(fat_mm)) / np.float32(2.0), 0, 1)
        plane += shallow * (np.float32(scene.fat_hu) - plane)
        rim = np.clip(1 - np.abs(depth + np.float32(0.8)) / np.float32(1.2), 0, 1)
        plane += rim * (np.float32(HU_SKIN) - plane)
        outside = np.clip(np.float32(0.5) + depth / px, 0, 1)
        plane += outside * (np.float32(HU_AIR) - plane)


def _paint_head_rest(hu: Field, grid: Grid, rng: np.random.Generator) -> None:
    x, y = grid.x()[None, :], grid.y()[:, None]
    depth = np.float32(rng.uniform(6, 12))
    low = float(grid.y().max())
    curve = np.hypot(x / np.float32(1.6), y - np.float32(low - 92)) - (92 - depth)
    px = np.float32(grid.pixel_mm)
    rows = slice(int(np.searchsorted(grid.y(), low - 70)), None)
    shell = np.clip(np.float32(0.5) - (np.abs(curve) - np.float32(1.2)) / px, 0, 1)[rows]
    foam = ((curve > 0) & (curve < depth)).astype(np.float32)[rows]
    part = hu[:, rows]
    free = part < -700
    part += foam * free * (-940 - part)
    part += shell * free * (90 - part)

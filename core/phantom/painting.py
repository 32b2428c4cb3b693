"""Paint bones and discs onto the voxel grid, averaged over the slice thickness."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy
from core.phantom.bone import bone_hu
from core.phantom.disc_looks import altered
from core.phantom.fractures import BrokenBone, Fracture
from core.phantom.grid import Grid
from core.phantom.neck_tissue import HU_DISC
from core.phantom.posture import Pose
from core.phantom.sdf import Field, Points
from core.phantom.sizes import SIZES
from core.phantom.vertebrae import reach, vertebra_distance
from core.phantom.visibility import Shown, Sight, show

Box = tuple[slice, slice, slice]
"""Index ranges (z, y, x)."""

COARSE_PX = 4
"""In-plane edge of the coarse cells that are tested for bone before their voxels."""

STRAY_MM = 6.0
"""Maximum displacement of a fragment."""

PACKED_HU = 300.0
"""HU that compressed spongy bone gains below a sunken end plate."""


@dataclass(frozen=True, slots=True, eq=False)
class PaintedVolume:
    """A study while it is painted.

    Attributes:
        grid: Voxel grid.
        hu: float32 HU (z, y, x) without noise.
        mask: uint8 (z, y, x), label of the vertebra.
        clefts: uint8 (z, y, x), label of the vertebra whose fracture line crosses the voxel.
    """

    grid: Grid
    hu: Field
    mask: NDArray[np.uint8]
    clefts: NDArray[np.uint8]


def paint_vertebra(
    volume: PaintedVolume,
    name: str,
    label: int,
    anatomy: Anatomy,
    fracture: Fracture | None,
    sight: Sight | None = None,
) -> Shown | None:
    """Paint one vertebra, fractured or not, and mark its voxels, in place.

    Args:
        volume: The study.
        name: C1..T3.
        label: Its label in the mask.
        anatomy: The person.
        fracture: Its fracture.
        sight: The scan, where a fracture shall have the contrast that it asks for and be marked
            only where it shows; by default it keeps its own and is marked where cracks cross.

    Returns:
        What shows of the fracture, if there are both a fracture and a sight.
    """
    grid, pose = volume.grid, anatomy.poses[name]
    half = np.abs(pose.axes.T) @ np.asarray(reach(name, anatomy.shapes[name])) * anatomy.scale
    box = box_around(grid, pose.origin, (half[0], half[1], half[2]))
    if box is None:
        return None
    spot = _near_bone(box, name, grid, anatomy, fracture is not None)
    depths = _depths(grid.slice_mm)
    x, y, z = grid.x()[spot[2]], grid.y()[spot[1]], grid.z()[spot[0]]
    covered = np.zeros(x.size, dtype=np.float32)
    share, brightness, closed = (np.zeros_like(covered) for _ in range(3))
    crossed = np.zeros(x.size, dtype=bool)
    voxel = _voxel(grid, pose, anatomy, len(depths))
    for depth in depths:
        points = pose.local((x, y, z + np.float32(depth)), anatomy.scale)
        broken = fracture.sample(points, anatomy.shapes[name], voxel) if fracture else None
        distance = _distance(name, points, anatomy, broken)
        part = np.clip(np.float32(0.5) - distance / np.float32(grid.pixel_mm), 0, 1)
        bone = bone_hu(name, points, distance, anatomy)
        covered += part
        if broken is not None:
            closed += part * bone
            part = part * (1 - broken.gap)
            bone += np.float32(PACKED_HU) * broken.packed
            crossed |= broken.crossed
        share += part
        brightness += part * bone
    n = np.float32(len(depths))
    before = volume.hu[spot]
    hu = before * (1 - share / n) + brightness / n
    shown = None
    if fracture is not None and sight is not None:
        whole = before * (1 - covered / n) + closed / n
        shown = show(spot, hu - whole, crossed, sight, fracture.cnr)
        hu, crossed = whole + np.float32(shown.share) * (hu - whole), shown.voxels
    volume.hu[spot] = hu
    _mark(volume.mask, spot, (covered > n / 2) | crossed, label)
    _mark(volume.clefts, spot, crossed, label)
    return shown


def paint_disc(volume: PaintedVolume, upper: str, lower: str, anatomy: Anatomy) -> None:
    """Paint the disc between two bodies, in place."""
    grid = volume.grid
    top, bottom = anatomy.poses[upper], anatomy.poses[lower]
    ceiling = top.origin - top.axes[2] * (SIZES[upper].height * anatomy.scale / 2)
    floor = bottom.origin + bottom.axes[2] * (SIZES[lower].height * anatomy.scale / 2)
    center = (ceiling + floor) / 2
    box = box_around(grid, center, (16.0, 14.0, 9.0))
    if box is None:
        return
    x, y, z = grid.x()[None, None, box[2]], grid.y()[None, box[1], None], grid.z()[box[0]]
    u, a, h = Pose(center, top.axes).local((x, y, z[:, None, None]), anatomy.scale)
    size = SIZES[upper]
    plan = np.sqrt((u / (size.width / 2 + 1)) ** 2 + (a / (size.depth / 2 + 1)) ** 2)
    thick = np.abs(h) - np.float32(anatomy.discs[upper] / anatomy.scale / 2 + 0.8)
    alpha = np.clip((1 - plan) * 8 + 0.5, 0, 1) * np.clip(0.5 - thick / grid.slice_mm, 0, 1)
    part = volume.hu[box]
    part += alpha * (np.float32(HU_DISC) - part)
    look = anatomy.disc_looks.get(upper)
    if look is not None:
        inside, density = altered(look, u, a, plan, anatomy)
        part += alpha * inside * (np.float32(density) - part)


def box_around(
    grid: Grid, center: NDArray[np.float64], half: tuple[float, float, float]
) -> Box | None:
    """Indices of the voxels within `half` (x, y, z) mm of a point; None if there are none."""
    spans: list[slice] = []
    for k, axis in ((2, grid.z()), (1, grid.y()), (0, grid.x())):
        inside = np.flatnonzero(np.abs(axis - np.float32(center[k])) <= half[k] + grid.pixel_mm)
        if not inside.size:
            return None
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _near_bone(
    box: Box, name: str, grid: Grid, anatomy: Anatomy, broken: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Voxels (z, y, x) that may hold bone, tested at the middle of coarse cells."""
    c = COARSE_PX
    y, x = grid.y()[box[1]], grid.x()[box[2]]
    y_mid, x_mid = (v[::c] + np.float32((c - 1) * grid.pixel_mm / 2) for v in (y, x))
    z = grid.z()[box[0]]
    middles = (x_mid[None, None, :], y_mid[None, :, None], z[:, None, None])
    points = anatomy.poses[name].local(middles, anatomy.scale)
    distance = _distance(name, points, anatomy)
    near = distance < np.float32(0.8 * (c - 1) * grid.pixel_mm + grid.slice_mm / 3 + 0.5)
    if broken:
        near = _dilate(near, int(np.ceil(STRAY_MM / (c * grid.pixel_mm))), STRAY_MM / grid.slice_mm)
    fine = near.repeat(c, axis=1)[:, : len(y)].repeat(c, axis=2)[:, :, : len(x)]
    iz, iy, ix = np.nonzero(fine)
    return iz + box[0].start, iy + box[1].start, ix + box[2].start


def _dilate(mask: NDArray[np.bool_], in_plane: int, along_z: float) -> NDArray[np.bool_]:
    kernel = np.ones((2 * in_plane + 1,) * 2, dtype=np.uint8)
    wide = np.stack([cv2.dilate(m.astype(np.uint8), kernel) for m in mask]) > 0
    found = wide.copy()
    for step in range(1, int(np.ceil(along_z)) + 1):
        found[step:] |= wide[:-step]
        found[:-step] |= wide[step:]
    return found


def _distance(
    name: str, points: Points, anatomy: Anatomy, broken: BrokenBone | None = None
) -> Field:
    """Distance in mm to the person's bone; to the intact bone without a fracture."""
    if broken is not None:
        return broken.distance * np.float32(anatomy.scale)
    return vertebra_distance(name, points, anatomy.shapes[name]) * np.float32(anatomy.scale)


def _voxel(grid: Grid, pose: Pose, anatomy: Anatomy, depths: int) -> NDArray[np.float64]:
    """Edges of the sampled voxel as rows, float64 (3, 3), mm of the vertebra's frame."""
    edges = np.diag([grid.pixel_mm, grid.pixel_mm, grid.slice_mm / depths])
    return edges @ pose.axes.T / anatomy.scale


def _depths(slice_mm: float) -> tuple[float, ...]:
    """Offsets in mm from a slice's middle at which it is sampled, by its thickness."""
    n = 2 if slice_mm <= 1.25 else 3
    return tuple(slice_mm * ((k + 0.5) / n - 0.5) for k in range(n))


def _mark(
    labels: NDArray[np.uint8],
    spot: tuple[NDArray[np.intp], ...],
    chosen: NDArray[np.bool_],
    label: int,
) -> None:
    labels[tuple(index[chosen] for index in spot)] = label

"""From anatomy to a CT image: partial volume, blur, correlated noise, streaks, 12-bit range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.data.phantom.anatomy import SIZES, Anatomy
from core.data.phantom.fractures import Fracture
from core.data.phantom.grid import Grid
from core.data.phantom.sdf import Field, Points
from core.data.phantom.soft_tissue import HU_DISC
from core.data.phantom.vertebrae import reach, vertebra_distance


@dataclass(frozen=True, slots=True)
class Scanner:
    """Image quality: blur and noise of the reconstruction kernel."""

    blur_px: float
    noise_hu: float
    sharpness: float


def sample_scanner(rng: np.random.Generator) -> Scanner:
    """Draw a kernel between soft and bone."""
    sharpness = float(rng.uniform(0, 1))
    return Scanner(0.75 - 0.35 * sharpness, float(rng.uniform(15, 32) + 8 * sharpness), sharpness)


def paint_vertebra(
    hu: Field,
    mask: NDArray[np.uint8],
    clefts: NDArray[np.uint8],
    name: str,
    label: int,
    grid: Grid,
    anatomy: Anatomy,
    fracture: Fracture | None,
    rng: np.random.Generator,
) -> None:
    """Paint one vertebra into `hu` (float32 (z, y, x)) and mark `mask` and `clefts`, in place.

    Each slice is sampled at three depths, so that its thickness mixes what it cuts.
    """
    box = _box(name, grid, anatomy)
    if box is None:
        return
    zs, ys, xs = box
    offsets = np.array([1, 0, -1], dtype=np.float32) * np.float32(grid.slice_mm / 3)
    pose = anatomy.poses[name]
    coverage: Field | float = 0.0
    brightness: Field | float = 0.0
    grain = _trabeculae(rng, (zs.stop - zs.start, ys.stop - ys.start, xs.stop - xs.start))
    cortex, px = np.float32(anatomy.cortex_mm), np.float32(grid.pixel_mm)
    for k, offset in enumerate(offsets):
        points = _local(grid, zs, ys, xs, float(offset), pose.origin, pose.axes, anatomy.scale)
        if fracture is None:
            distance, cleft = vertebra_distance(name, points), None
        else:
            distance, cleft = fracture.distance(points)
        distance = distance * np.float32(anatomy.scale)
        alpha = np.clip(np.float32(0.5) - distance / px, 0, 1)
        inside = np.clip((-distance - cortex) / np.float32(0.7), 0, 1)
        bone = np.float32(anatomy.cortex_hu) * (1 - inside) + inside * (
            np.float32(anatomy.trabecular_hu) + np.float32(75) * grain
        )
        coverage = coverage + alpha
        brightness = brightness + alpha * bone
        if k == 1:
            mask[zs, ys, xs][distance < 0] = label
        if cleft is not None:
            clefts[zs, ys, xs][cleft] = label
            if k == 1:
                mask[zs, ys, xs][cleft] = label
    n = np.float32(len(offsets))
    part = hu[zs, ys, xs]
    part *= 1 - coverage / n
    part += brightness / n


def paint_disc(hu: Field, upper: str, lower: str, grid: Grid, anatomy: Anatomy) -> None:
    """Paint the disc between two bodies, in place."""
    top, bottom = anatomy.poses[upper], anatomy.poses[lower]
    half = SIZES[upper].height * anatomy.scale / 2
    center = top.origin - top.axes[2] * half
    gap = SIZES[lower].height * anatomy.scale / 2
    center = (center + bottom.origin + bottom.axes[2] * gap) / 2
    box = _span(grid, center, (16.0, 14.0, 9.0))
    if box is None:
        return
    u, a, h = _local(grid, *box, 0.0, center, top.axes, anatomy.scale)
    size = SIZES[upper]
    plan = np.sqrt((u / (size.width / 2 + 1)) ** 2 + (a / (size.depth / 2 + 1)) ** 2)
    thick = np.abs(h) - np.float32(anatomy.disc_mm / anatomy.scale / 2 + 0.8)
    alpha = np.clip((1 - plan) * 8 + 0.5, 0, 1) * np.clip(0.5 - thick / grid.slice_mm, 0, 1)
    part = hu[box]
    part += alpha * (np.float32(HU_DISC) - part)


def acquire(hu: Field, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur in plane, add noise that the kernel correlates, streak the shoulders, clip to 12 bits.

    Returns:
        int16 HU (z, y, x) within -1024..3071.
    """
    image = ndimage.gaussian_filter(hu, (0, scanner.blur_px, scanner.blur_px))
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 1.1, 1.1))
    noise = scanner.sharpness * (noise - smooth) + (1.4 - scanner.sharpness) * 2.2 * smooth
    noise *= scanner.noise_hu / noise.std()
    body = (hu > -500).mean(axis=(1, 2), dtype=np.float64)
    load = (1 + 2.2 * np.clip((body - 0.42) / 0.4, 0, 1)).astype(np.float32)[:, None, None]
    streaks = ndimage.uniform_filter1d(rng.standard_normal(image.shape, dtype=np.float32), 61, 2)
    image += noise * load + streaks * (load - 1) * np.float32(160)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _trabeculae(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    return ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.8) * 3


def _local(
    grid: Grid, zs: slice, ys: slice, xs: slice, dz: float,
    origin: np.ndarray, axes: np.ndarray, scale: float,
) -> Points:  # fmt: skip
    d = (
        grid.x()[None, None, xs] - np.float32(origin[0]),
        grid.y()[None, ys, None] - np.float32(origin[1]),
        grid.z()[zs, None, None] + np.float32(dz - origin[2]),
    )
    rows = (axes / scale).astype(np.float32)
    return tuple(r[0] * d[0] + r[1] * d[1] + r[2] * d[2] for r in rows)  # type: ignore[return-value]


def _box(name: str, grid: Grid, anatomy: Anatomy) -> tuple[slice, slice, slice] | None:
    pose = anatomy.poses[name]
    half = np.abs(pose.axes.T) @ np.asarray(reach(name)) * anatomy.scale
    return _span(grid, pose.origin, tuple(half))


def _span(
    grid: Grid, center: np.ndarray, half: tuple[float, ...]
) -> tuple[slice, slice, slice] | None:
    """Index box (z, y, x) around a point; None where it misses the grid."""
    spans: list[slice] = []
    for axis, step in (
        (grid.z(), -grid.slice_mm),
        (grid.y(), grid.pixel_mm),
        (grid.x(), grid.pixel_mm),
    ):
        k = 2 - len(spans)
        low, high = sorted(((center[k] + d - float(axis[0])) / step) for d in (-half[k], half[k]))
        start, stop = max(int(np.floor(low)), 0), min(int(np.ceil(high)) + 1, len(axis))
        if stop <= start:
            return None
        spans.append(slice(start, stop))
    return spans[0], spans[1], spans[2]

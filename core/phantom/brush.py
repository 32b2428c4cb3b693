"""Paint solids and tubes onto the voxel grid, each within a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.phantom.canvas import Canvas
from core.phantom.grid import Grid
from core.phantom.posture import Pose
from core.phantom.sdf import Field, Number, Points, Vec3, capsule, ellipse, ellipsoid

CHUNK = 6
"""Slices of a tube that share one window."""
COARSE_PX = 4

Line = NDArray[np.floating[Any]]
Switch = Line | NDArray[np.bool_] | float
Corner = Sequence[float] | Line
Shade = Callable[[Field], Field | Number]
"""HU by signed distance in mm to the surface."""


class Brush:
    """Paints tissues over `hu` (float32 (z, y, x)) in place, edges softened to a voxel's width."""

    def __init__(self, hu: Field, grid: Grid) -> None:
        self.hu, self.px = hu, np.float32(grid.pixel_mm)
        self.slice_mm = grid.slice_mm
        self.x, self.y, self.z = grid.x(), grid.y(), grid.z()

    def tube(
        self, x: Line, y: Line, ru: Line | float, ra: Line | float, value: Number,
        turn: Line | float = 0.0, alpha: Switch = 1.0,
    ) -> None:  # fmt: skip
        """Paint one ellipse per slice: its centre, radii, turn (radians) and opacity, each (n,)."""
        n = len(self.z)
        x, y, ru, ra, turn, alpha = (
            np.broadcast_to(np.asarray(v, dtype=np.float32), n) for v in (x, y, ru, ra, turn, alpha)
        )
        seen = (alpha > 0) & (ru > 0.05) & (ra > 0.05)
        cos, sin = np.cos(turn), np.sin(turn)
        wide = np.hypot(ru * cos, ra * sin) + self.px
        deep = np.hypot(ru * sin, ra * cos) + self.px
        for start in range(0, n, CHUNK):
            k = start + np.flatnonzero(seen[start : start + CHUNK])
            if not k.size:
                continue
            ys = _span(self.y, (y[k] - deep[k]).min(), (y[k] + deep[k]).max())
            xs = _span(self.x, (x[k] - wide[k]).min(), (x[k] + wide[k]).max())
            if ys is None or xs is None:
                continue
            at = slice(int(k[0]), int(k[-1]) + 1)
            c = (v[at, None, None] for v in (x, y, ru, ra, cos, sin, alpha * seen))
            cx, cy, r1, r2, co, si, share = c
            u, a = self.x[None, None, xs] - cx, self.y[None, ys, None] - cy
            distance = ellipse(co * u + si * a, co * a - si * u, r1 + 1e-3, r2 + 1e-3)
            cover = np.clip(np.float32(0.5) - distance / self.px, 0, 1) * share
            part = self.hu[at, ys, xs]
            part += cover * (np.float32(value) - part)

    def rod(
        self, knots: Sequence[Corner], radii: Sequence[float], shade: Shade,
        flat: float = 1.0,
    ) -> None:  # fmt: skip
        """Paint a bent rod through `knots` (LPS mm); `flat` below 1 makes it taller."""
        p = np.asarray(knots, dtype=np.float64) * (1.0, 1.0, flat)
        for (start, end), (r0, r1) in zip(pairwise(p), pairwise(radii), strict=True):
            reach = max(r0, r1) + float(self.px)
            low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
            low[2], high[2] = low[2] / flat, high[2] / flat
            self.solid(
                lambda q, s=start, e=end, r0=r0, r1=r1: capsule(
                    (q[0], q[1], q[2] * np.float32(flat)), tuple(s), tuple(e), r0, r1
                ),
                tuple(low), tuple(high), shade,
            )  # fmt: skip

    def solid(
        self, part: Callable[[Points], Field], low: Corner, high: Corner,
        shade: Shade,
    ) -> None:  # fmt: skip
        """Paint a solid of LPS points between two corners (x, y, z)."""
        zs = _span(-self.z, -high[2], -low[2])
        ys, xs = _span(self.y, low[1], high[1]), _span(self.x, low[0], high[0])
        if zs is None or ys is None or xs is None:
            return
        points = self.x[None, None, xs], self.y[None, ys, None], self.z[zs, None, None]
        distance = part(points)
        cover = np.clip(np.float32(0.5) - distance / self.px, 0, 1)
        at = self.hu[zs, ys, xs]
        at += cover * (shade(distance) - at)

    def ellipsoid(self, center: Corner, radii: Vec3, shade: Shade, margin_mm: float = 0.0) -> None:
        """Paint an ellipsoid, axes along the grid's, and `margin_mm` around it."""
        middle, half = np.asarray(center, dtype=np.float64), np.array(radii) + margin_mm
        x, y, z = middle.tolist()
        self.solid(lambda p: ellipsoid(p, (x, y, z), radii), middle - half, middle + half, shade)

    def bone(self, canvas: Canvas, pose: Pose, scale: float, shade: Shade) -> None:
        """Paint a drawn solid in a pose; only points in or near it are sampled."""
        low = np.asarray(canvas.low)
        high = np.asarray(canvas.high)
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
        world = pose.world(corners, scale)
        low, high = world.min(axis=0), world.max(axis=0)
        zs = _span(-self.z, -high[2], -low[2])
        ys, xs = _span(self.y, low[1], high[1]), _span(self.x, low[0], high[0])
        if zs is None or ys is None or xs is None:
            return
        x, y, z = self.x[xs], self.y[ys], self.z[zs]
        c = COARSE_PX
        half = np.float32((c - 1) / 2) * self.px
        coarse = (x[::c] + half)[None, None], (y[::c] + half)[None, :, None], z[:, None, None]
        distance = canvas.sample(pose.local(coarse, scale)) * np.float32(scale)
        near = distance < 1.5 * half + np.float32(0.6) * self.px
        fine = near.repeat(c, axis=1)[:, : len(y)].repeat(c, axis=2)[:, :, : len(x)]
        iz, iy, ix = np.nonzero(fine)
        points = pose.local((x[ix], y[iy], z[iz]), scale)
        distance = canvas.sample(points) * np.float32(scale)
        cover = np.clip(np.float32(0.5) - distance / self.px, 0, 1)
        at = (iz + zs.start, iy + ys.start, ix + xs.start)
        old = self.hu[at]
        self.hu[at] = old + cover * (shade(distance) - old)


def bone_shade(shell: float, core: float, thick_mm: float = 1.3) -> Shade:
    """HU of a compact shell over a core below `thick_mm`."""

    def shade(distance: Field) -> Field:
        inside = np.clip((-distance - np.float32(thick_mm)) / np.float32(1.0), 0, 1)
        return np.float32(shell) + inside * np.float32(core - shell)

    return shade


def plain(value: float) -> Shade:
    """Constant HU."""
    return lambda distance: np.float32(value)


def _span(axis: Field, low: float, high: float) -> slice | None:
    """Indices of the values of an ascending axis within two bounds; None where there are none."""
    start, stop = int(np.searchsorted(axis, low)), int(np.searchsorted(axis, high, side="right"))
    return slice(start, stop) if stop > start else None

"""A vertebra's distance field on a regular grid in its own frame, drawn part by part.

Each part is evaluated only in a window around itself; sampling the finished field then costs the
same however many parts a bone has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

from core.phantom.sdf import Field, Points, Vec3, capsule, carve, union

STEP_MM = 0.5
FAR_MM = 4.0
"""Distances outside a bone are truncated here."""

Part = Callable[[Points], Field]


class Canvas:
    """Distance field in mm, float32 (h, a, u), negative in bone.

    Attributes:
        low: (u, a, h) of the first voxel.
        high: The opposite corner.
        step_mm: Edge of a voxel.
        distance: The field.
    """

    def __init__(self, low: Vec3, high: Vec3, step_mm: float = STEP_MM) -> None:
        """Start an empty field between two corners (u, a, h)."""
        self.low, self.high, self.step_mm = low, high, step_mm
        counts = [int(np.ceil((b - a) / step_mm)) + 1 for a, b in zip(low, high, strict=True)]
        self._axes = [
            np.float32(a) + np.float32(step_mm) * np.arange(n, dtype=np.float32)
            for a, n in zip(low, counts, strict=True)
        ]
        self.distance: Field = np.full(counts[::-1], FAR_MM, dtype=np.float32)

    @property
    def points(self) -> Points:
        """Coordinates of the voxels, three arrays that broadcast to the field's shape."""
        return self._points([slice(None)] * 3)

    def add(self, part: Part, low: Vec3, high: Vec3, blend: float = 1.5) -> None:
        """Add a part between two corners to the bone."""
        window = self._window(low, high, FAR_MM)
        if window is not None:
            at, points = window
            self.distance[at] = union(self.distance[at], part(points), blend=blend)

    def carve(self, part: Part, low: Vec3, high: Vec3) -> None:
        """Remove a part between two corners from the bone."""
        window = self._window(low, high, 1.0)
        if window is not None:
            at, points = window
            self.distance[at] = carve(self.distance[at], part(points))

    def strut(
        self, start: Vec3, end: Vec3, r0: float, r1: float | None = None, flat: float = 1.0,
        blend: float = 1.5,
    ) -> None:  # fmt: skip
        """Add a capsule; `flat` below 1 makes it taller than thick, by 1 / flat."""
        reach = max(r0, r1 or 0.0) / flat
        s, e = ((p[0], p[1], p[2] * flat) for p in (start, end))
        self.add(
            lambda p: capsule((p[0], p[1], p[2] * np.float32(flat)), s, e, r0, r1),
            _corner(start, end, -reach, min), _corner(start, end, reach, max), blend,
        )  # fmt: skip

    def chain(
        self, knots: Sequence[tuple[float, float, float, float]], flat: float = 1.0,
        blend: float = 1.5,
    ) -> None:  # fmt: skip
        """Add a bent rod through `knots` (u, a, h, radius) without swellings at its bends."""
        reach = max(k[3] for k in knots) / flat

        def rod(p: Points) -> Field:
            q = (p[0], p[1], p[2] * np.float32(flat))
            links = [
                capsule(q, (s[0], s[1], s[2] * flat), (e[0], e[1], e[2] * flat), s[3], e[3])
                for s, e in pairwise(knots)
            ]
            return np.minimum.reduce(links)

        u, a, h, _ = zip(*knots, strict=True)
        low = min(u) - reach, min(a) - reach, min(h) - reach
        self.add(rod, low, (max(u) + reach, max(a) + reach, max(h) + reach), blend)

    def roughen(self, phases: tuple[float, ...], amplitude: float) -> None:
        """Bend the surface by about `amplitude` mm in long, irregular waves."""
        u, a, h = self.points
        p = np.asarray(phases, dtype=np.float32)
        bend = np.sin(0.42 * u + p[0]) * np.sin(0.37 * a + p[1])
        bend = bend * np.sin(0.45 * h + p[2])
        ripple = np.sin(0.9 * u + p[3]) * np.sin(0.8 * a + p[4])
        self.distance += np.float32(amplitude) * bend
        self.distance += np.float32(0.4 * amplitude) * ripple * np.sin(0.7 * h + p[5])

    def sample(self, points: Points) -> Field:
        """Trilinear values at `points`, float32, broadcast; large outside the grid."""
        shape = np.broadcast_shapes(*(p.shape for p in points))
        index = np.empty((3, *(shape or (1,))), dtype=np.float32)
        for k in range(3):
            np.subtract(points[2 - k], np.float32(self.low[2 - k]), out=index[k, ...])
        index *= np.float32(1 / self.step_mm)
        values: Field = np.empty(index.shape[1:], dtype=np.float32)
        ndimage.map_coordinates(
            self.distance, index, output=values, order=1, mode="constant", cval=FAR_MM,
            prefilter=False,
        )  # fmt: skip
        return values.reshape(shape)

    def _points(self, at: list[slice]) -> Points:
        u, a, h = (axis[s] for axis, s in zip(self._axes, at, strict=True))
        return u[None, None, :], a[None, :, None], h[:, None, None]

    def _window(
        self, low: Vec3, high: Vec3, margin: float
    ) -> tuple[tuple[slice, ...], Points] | None:
        spans: list[slice] = []
        for k, axis in enumerate(self._axes):
            start = int(np.floor((low[k] - margin - self.low[k]) / self.step_mm))
            stop = int(np.ceil((high[k] + margin - self.low[k]) / self.step_mm)) + 1
            spans.append(slice(max(start, 0), min(stop, len(axis))))
            if spans[-1].stop <= spans[-1].start:
                return None
        return tuple(spans[::-1]), self._points(spans)


def _corner(
    start: Vec3, end: Vec3, by: float, pick: Callable[[float, float], float]
) -> Vec3:  # fmt: skip
    u, a, h = (pick(s, e) + by for s, e in zip(start, end, strict=True))
    return u, a, h

"""Courses of spine, canal and vertebral arteries through the slices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy
from core.phantom.grid import Grid
from core.phantom.posture import Pose
from core.phantom.scene import Move
from core.phantom.sizes import LEVELS
from core.phantom.skull import head_pose

Line = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class NeckFrame:
    """Courses through the slices, LPS mm, each float64 (n_slices,).

    Attributes:
        z: Heights of the slices.
        spine: (x, y) of the middle of the bodies, of the dens at C1.
        canal: (x, y) of the middle of the spinal canal.
        canal_radii: Its half (width, depth).
        arteries: (x, y) of the right and the left vertebral artery.
        body: Half (width, depth) of the bodies.
        level: z of C1..T3 by name, and of the base of the skull ("skull").
    """

    z: Line
    spine: tuple[Line, Line]
    canal: tuple[Line, Line]
    canal_radii: tuple[Line, Line]
    arteries: tuple[tuple[Line, Line], tuple[Line, Line]]
    body: tuple[Line, Line]
    level: dict[str, float]

    def between(self, upper: float, lower: float, blur_mm: float = 1.0) -> Line:
        """Return 1 in slices between two heights and 0 beyond, with smooth ends."""
        inside = np.minimum(upper - self.z, self.z - lower)
        return np.clip(0.5 + inside / (2 * blur_mm), 0, 1)

    def moved(self, move: Move) -> NeckFrame:
        """The same courses with levels moved and stretched about C4, for tissues elsewhere."""
        if move == Move():
            return self
        middle = self.level["C4"]
        level = {
            name: middle + (z - middle) * move.stretch + move.shift_mm
            for name, z in self.level.items()
        }
        return replace(self, level=level)

    def place(self, course: tuple[Line, Line], z: float) -> tuple[float, float]:
        """(x, y) of a course in the slice nearest to a height."""
        k = int(np.argmin(np.abs(self.z - z)))
        return float(course[0][k]), float(course[1][k])

    def along(self, **values: float) -> Line:
        """Interpolate values that are given by level, for example `C2=14.0, C5=9.0`."""
        names = sorted(values, key=lambda n: self.level[n])
        return np.interp(self.z, [self.level[n] for n in names], [values[n] for n in names])


def neck_frame(grid: Grid, anatomy: Anatomy, nod: float) -> NeckFrame:
    """Find the courses for a person in a grid; for `nod` see `skull.head_pose`."""
    z = grid.z().astype(np.float64)
    frame = _Knots(anatomy, head_pose(anatomy, nod), z)
    at, sizes = frame.at, frame.sizes
    lower = LEVELS[1:]
    spine = [at(n, 0, 0, 0) for n in lower] + [at("C1", 0, -7, 0), at("skull", 0, -10, 14)]
    canal = [at(n, 0, sizes[n].depth / 2 + sizes[n].canal_depth / 2, 0) for n in lower]
    canal += [at("C1", 0, 8.5, 0), at("skull", 0, 9, 14), at("skull", 0, 4, 40)]
    levels = {n: float(anatomy.poses[n].origin[2]) for n in LEVELS}
    levels["skull"] = float(at("skull", 0, 0, 26)[2])
    heights = [levels[n] for n in (*lower[::-1], "C1", "skull")]

    def by_level(values: list[float], top: float, above: float) -> Line:
        return anatomy.scale * np.interp(z, heights, [*values[::-1], top, above])

    return NeckFrame(
        z=z,
        spine=frame.course(spine),
        canal=frame.course(canal),
        canal_radii=(
            by_level([sizes[n].canal_width / 2 for n in lower], 14.0, 15.0),
            by_level([sizes[n].canal_depth / 2 for n in lower], 14.0, 17.0),
        ),
        arteries=(frame.course(_artery(frame, -1)), frame.course(_artery(frame, 1))),
        body=(
            by_level([sizes[n].width / 2 for n in lower], 6.0, 12.0),
            by_level([sizes[n].depth / 2 for n in lower], 6.0, 5.0),
        ),
        level=levels,
    )


class _Knots:
    """Points given in the frames of the vertebrae or of the head, and courses through them."""

    def __init__(self, anatomy: Anatomy, head: Pose, z: Line) -> None:
        self.sizes = {n: anatomy.shapes[n].size for n in LEVELS}
        self._poses = {**anatomy.poses, "skull": head}
        self._scale, self._z = anatomy.scale, z

    def at(self, name: str, u: float, a: float, h: float) -> Line:
        """LPS mm of a point of a frame."""
        return self._poses[name].world((u, a, h), self._scale)

    def course(self, knots: list[Line]) -> tuple[Line, Line]:
        """(x, y) at every slice."""
        k = np.array(sorted(knots, key=lambda p: float(p[2])))
        return np.interp(self._z, k[:, 2], k[:, 0]), np.interp(self._z, k[:, 2], k[:, 1])


def _artery(frame: _Knots, side: int) -> list[Line]:
    """The vertebral artery: before C7, through the foramina of C6-C1, over C1, into the skull."""
    at, sizes = frame.at, frame.sizes
    foramina = [
        at(n, side * sizes[n].foramen_u, sizes[n].foramen_a, 0) for n in ("C3", "C4", "C5", "C6")
    ]
    return [
        *foramina,
        at("C2", side * 16.5, 3.4, -11),
        at("C2", side * 19.6, 2.6, -0.5),
        at("C2", side * 27.0, 3.6, 8.5),
        at("C1", side * 28.3, -0.6, 0),
        at("C1", side * 25.0, 6.5, 4.5),
        at("C1", side * 15.0, 11.0, 6.5),
        at("skull", side * 8.0, 2.0, 15),
        at("skull", 0, -6.0, 30),
        at("C7", side * (sizes["C7"].foramen_u - 1), -8, 0),
        at("T1", side * 24, -20, 0),
    ]

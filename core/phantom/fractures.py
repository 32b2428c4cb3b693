"""Fractured vertebrae: rough cracks, displaced fragments, sunken end plates, and exact masks.

The cracks and fragments of any kind of fracture (see `fracture_kinds`) become a distance field and
the voxels that they cross. Lengths are mm of the person; `scale` turns them
into the vertebra's frame (see `sdf`), which is that of an average adult.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.phantom.sdf import Field, Points, Vec3
from core.phantom.sizes import SIZES
from core.phantom.vertebrae import vertebra_distance

if TYPE_CHECKING:
    from core.phantom.shapes import VertebraShape

Region = Callable[[Points], NDArray[Any]]
"""Membership of each point: bool, or float32 weights in [0, 1]."""

Voxel = NDArray[np.floating[Any]]
"""The three edges of a voxel as rows, float (3, 3), in mm of the vertebra's frame (u, a, h)."""

DEFAULT_VOXEL: Voxel = np.diag([0.8, 0.8, 0.8])
ROUGHNESS_MM = 0.45
IMPACTION_MM = 3.0
"""Depth to which spongy bone is compressed below a sunken end plate."""
PACKED = 0.25
"""Share of packing from which a voxel belongs to the fracture."""


@dataclass(frozen=True, slots=True, eq=False)
class Break:
    """A rough crack; bone is missing within half its gap, inside its region.

    Attributes:
        point: A point of the crack's middle plane, mm in the vertebra's frame.
        normal: Its normal.
        gap_mm: Width of the cleft in mm of the person.
        region: Region of the crack.
        phases: Three phases of its roughness.
        bowl: Curvature in 1/mm: to both sides (u) the crack rises along the normal by `bowl` times
            the squared distance from `point`.
    """

    point: Vec3
    normal: Vec3
    gap_mm: float
    region: Region
    phases: Vec3
    bowl: float = 0.0

    @property
    def unit_normal(self) -> NDArray[np.float64]:
        """The normal, of length 1."""
        n = np.asarray(self.normal, dtype=np.float64)
        return n / np.linalg.norm(n)

    def side(self, points: Points) -> Field:
        """Signed distance in mm from the crack along its normal."""
        n = self.unit_normal
        first = np.cross(n, np.eye(3)[int(np.argmin(np.abs(n)))])
        first /= np.linalg.norm(first)
        frame = np.stack([n, first, np.cross(n, first)]).astype(np.float32)
        d = [p - np.float32(c) for p, c in zip(points, self.point, strict=True)]
        s, t1, t2 = (row[0] * d[0] + row[1] * d[1] + row[2] * d[2] for row in frame)
        p0, p1, p2 = (np.float32(p) for p in self.phases)
        rough = np.sin(0.9 * t1 + p0) + np.sin(0.75 * t2 + p1)
        rough = 0.6 * rough + 0.4 * np.sin(2.1 * t1 + 1.7 * t2 + p2)
        s = s + np.float32(ROUGHNESS_MM) * rough.astype(np.float32)
        return s - np.float32(self.bowl) * d[0] * d[0] if self.bowl else s


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """Bone that moves as one piece, or bends where its region has weights below 1.

    Attributes:
        shift_mm: Displacement (u, a, h) in mm of the person.
        faces: Indices of the breaks on whose positive side it lies.
        region: Its region, before and after the shift.
        bend_mm: Where above 0 the shift fades to nothing over this distance from its faces, as
            in a ring that is fractured once.
    """

    shift_mm: Vec3
    faces: tuple[int, ...]
    region: Region
    bend_mm: float = 0.0

    def weight(self, points: Points, sides: list[Field]) -> Field:
        """Share of the shift at each point, float32 in [0, 1]."""
        weight = np.asarray(self.region(points)).astype(np.float32)
        for k in self.faces:
            weight = weight * (sides[k] > 0)
            if self.bend_mm:
                fade = np.clip(1 - sides[k] / np.float32(self.bend_mm), 0, 1)
                weight = weight * (fade * fade * (3 - 2 * fade))
        return weight


@dataclass(frozen=True, slots=True)
class Collapse:
    """An upper end plate driven into its body.

    Attributes:
        depth_mm: Largest loss of height in mm of the person.
        wedge: Whether only the front sinks; otherwise the whole end plate does.
    """

    depth_mm: float
    wedge: bool

    def depth(self, points: Points, width: float, depth: float) -> Field:
        """Share of the loss above each point of the plan, float32 in [0, 1]."""
        u, a, _ = points
        along = np.clip((depth / 2 - a) / np.float32(depth), 0, 1)
        if not self.wedge:
            along = np.clip(along * 4, 0, 1)
        return along * np.clip((width / 2 + 4 - np.abs(u)) / np.float32(3), 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class BrokenBone:
    """A fractured vertebra sampled at points.

    Attributes:
        distance: float32, signed distance in mm to the bone with fragments moved and cracks
            closed: the surface of the cortical shell. A fresh crack has no cortex.
        gap: float32 in [0, 1], share of the voxel without bone because of cracks.
        crossed: bool, voxels of bone that a crack runs through, or that were packed.
        packed: float32 in [0, 1], spongy bone compressed below a sunken end plate.
    """

    distance: Field
    gap: Field
    crossed: NDArray[np.bool_]
    packed: Field


@dataclass(frozen=True, slots=True, eq=False)
class Fracture:
    """A named fracture of one vertebra.

    Attributes:
        vertebra: C1..C7.
        kind: For example "jefferson" or "burst".
        breaks: Its cracks.
        fragments: Fragments that they separate.
        collapse: Loss of height, if any.
        swelling_mm: Extra prevertebral soft tissue.
        scale: Size of the person relative to the vertebra's frame.
        slip_mm: How far the vertebrae above are dislocated to the front.
        cnr: Contrast-to-noise ratio to which its cracks are filled; None leaves them empty.
    """

    vertebra: str
    kind: str
    breaks: tuple[Break, ...]
    fragments: tuple[Fragment, ...] = ()
    collapse: Collapse | None = None
    swelling_mm: float = 0.0
    scale: float = 1.0
    slip_mm: float = 0.0
    cnr: float | None = None

    @property
    def gap_mm(self) -> float:
        """Width of the widest crack in mm; 0 if the bone is only compressed."""
        return max((b.gap_mm for b in self.breaks), default=0.0)

    @property
    def displacement_mm(self) -> float:
        """Largest displacement of a fragment, an end plate or a vertebra in mm; 0 without any."""
        moved = [float(np.linalg.norm(f.shift_mm)) for f in self.fragments]
        return max([*moved, self.slip_mm, self.collapse.depth_mm if self.collapse else 0.0])

    def sample(
        self, points: Points, shape: VertebraShape | None = None, voxel: Voxel = DEFAULT_VOXEL
    ) -> BrokenBone:
        """Sample the fractured bone at points of its frame, as means over voxels around them.

        Args:
            points: (u, a, h) that broadcast together.
            shape: The person's vertebra; an average one by default.
            voxel: Voxel around each point; a narrower crack still marks it, and removes its share
                of it, spread along the crack's normal over the voxel's width.
        """
        u, a, h = points
        sides = [b.side(points) for b in self.breaks]
        for fragment in self.fragments:
            weight = fragment.weight(points, sides)
            du, da, dh = (np.float32(s / self.scale) * weight for s in fragment.shift_mm)
            u, a, h = u - du, a - da, h - dh
        h, packed = self._uncollapse((u, a, h), shape)
        bone = vertebra_distance(self.vertebra, (u, a, h), shape)
        crossed = (packed > PACKED) & (bone < 0)
        packed = packed * np.clip(-bone - np.float32(0.7), 0, 1)
        left = np.ones(bone.shape, dtype=np.float32)
        for cut, side in zip(self.breaks, sides, strict=True):
            here = np.asarray(cut.region(points), dtype=bool)
            along = np.abs(voxel @ cut.unit_normal)
            half = np.float32(cut.gap_mm / self.scale / 2)
            left = left * (1 - here * _overlap(side, half, np.float32(np.linalg.norm(along))))
            crossed |= (np.abs(side) < half + np.float32(along.sum() / 2)) & here & (bone < 0)
        return BrokenBone(bone, 1 - left, crossed, packed)

    def _uncollapse(self, points: Points, shape: VertebraShape | None) -> tuple[Field, Field]:
        """Return heights before the end plate sank, and the share of compression."""
        u, a, h = points
        if self.collapse is None:
            return h, np.zeros(np.broadcast_shapes(*(p.shape for p in points)), dtype=np.float32)
        size = SIZES[self.vertebra] if shape is None else shape.size
        sunk = self.collapse.depth(points, size.width, size.depth)
        sunk = sunk * np.float32(self.collapse.depth_mm / self.scale)
        floor, top = np.float32(-size.height / 2), np.float32(size.height / 2)
        squeeze = 1 - sunk / np.float32(size.height)
        beyond = np.clip((top + 6 - h) / np.float32(3), 0, 1)
        before = np.where(h > floor, floor + (h - floor) / squeeze, h)
        before = h + (before - h) * beyond
        near = np.clip(1 - np.abs(top - before - 1) / np.float32(IMPACTION_MM), 0, 1)
        in_plan = (np.abs(u) < size.width / 2 + 1) & (a < size.depth / 2)
        packed = near * np.clip(sunk * self.scale - np.float32(0.5), 0, 1) * in_plan
        return before, packed.astype(np.float32)


def _overlap(side: Field, half: np.floating[Any], width: np.floating[Any]) -> Field:
    """Share of a voxel of `width` at distance `side` that a slab of half width `half` fills."""
    top = np.minimum(side + width / 2, half)
    bottom = np.maximum(side - width / 2, -half)
    return np.clip((top - bottom) / width, 0, 1)

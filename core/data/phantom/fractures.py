"""Fractures by name, each a set of breaks through one vertebra at its real site.

A break is a rough plane through the bone. It parts a fragment, which may be displaced, and leaves
a gap filled with blood. Patterns after the AO Spine subaxial and upper cervical classifications
(Vaccaro et al. 2016) and Anderson & D'Alonzo 1974 for the dens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from core.data.phantom.anatomy import SIZES
from core.data.phantom.sdf import Field, Points, Vec3
from core.data.phantom.vertebrae import vertebra_distance

Region = Callable[[Points], "np.ndarray"]


@dataclass(frozen=True, slots=True, eq=False)
class Break:
    """One rough plane: it gapes inside `region`; the part beyond it in `fragment` moves.

    Attributes:
        point: A point of the plane, mm in the vertebra's frame.
        normal: Its normal; the fragment lies on the positive side.
        gap_mm: Width of the cleft.
        shift_mm: Displacement (u, a, h) of the fragment.
        region: Where the cleft is visible.
        fragment: What moves with the positive side; the region where not given.
    """

    point: Vec3
    normal: Vec3
    gap_mm: float
    shift_mm: Vec3
    region: Region
    fragment: Region
    phases: tuple[float, float, float]

    def side(self, points: Points) -> Field:
        """Signed distance in mm to the rough plane."""
        u, a, h = points
        n = np.asarray(self.normal) / np.linalg.norm(self.normal)
        flat = sum(np.float32(n[k]) * (p - np.float32(self.point[k])) for k, p in enumerate(points))
        p0, p1, p2 = (np.float32(p) for p in self.phases)
        rough = np.sin(0.9 * u + p0) * np.sin(0.8 * h + p1) + np.sin(0.7 * a + p2)
        return flat + np.float32(0.45) * rough


@dataclass(frozen=True, slots=True, eq=False)
class Fracture:
    """A named fracture of one vertebra.

    Attributes:
        vertebra: C1..C7.
        kind: For example "jefferson" or "burst".
        breaks: Its planes.
        height_loss: Share of the body's height lost at the front edge (wedge) or all over (burst).
        wedge: True where only the front loses height.
        swelling_mm: Extra prevertebral soft tissue.
    """

    vertebra: str
    kind: str
    breaks: tuple[Break, ...]
    height_loss: float = 0.0
    wedge: bool = False
    swelling_mm: float = field(default=0.0)

    def distance(self, points: Points) -> tuple[Field, np.ndarray]:
        """Signed distance to the broken bone in mm, and a bool array that marks the clefts."""
        u, a, h = self._collapse(points)
        for cut in self.breaks:
            away = (cut.side(points) > 0) & cut.fragment(points)
            du, da, dh = (np.where(away, np.float32(s), np.float32(0)) for s in cut.shift_mm)
            u, a, h = u - du, a - da, h - dh
        bone = vertebra_distance(self.vertebra, (u, a, h))
        cleft = np.zeros(bone.shape, dtype=bool)
        for cut in self.breaks:
            side = np.abs(cut.side(points))
            here = cut.region(points)
            cleft |= (side < max(cut.gap_mm / 2, 0.6)) & here & (bone < 0)
            bone = np.where(here, np.maximum(bone, np.float32(cut.gap_mm / 2) - side), bone)
        return bone, cleft

    def _collapse(self, points: Points) -> Points:
        if not self.height_loss:
            return points
        u, a, h = points
        size = SIZES[self.vertebra]
        along = np.clip((size.depth / 2 + 1 - a) / size.depth, 0, 1)
        if not self.wedge:
            along = np.minimum(along * 4, 1)
        floor = np.float32(-size.height / 2)
        stretch = 1 - np.float32(self.height_loss) * along
        above = (h > floor) & (h < size.height / 2 + 3)
        return u, a, np.where(above, floor + (h - floor) / stretch, h)

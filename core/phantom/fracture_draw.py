"""Random draws shared by all kinds of fracture: gap, roughness and displacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.fractures import Break, Collapse, Fragment, Region
from core.phantom.recipe import Stratum
from core.phantom.sdf import Points, Vec3
from core.phantom.sizes import VertebraSize

GAP_MM = (0.3, 2.0)
HAIRLINE_MM = (0.3, 1.0)
"""Gap of displaced and of non-displaced fractures."""

DISPLACEMENT_MM = (0.5, 4.0)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """Result of a fracture builder."""

    breaks: tuple[Break, ...]
    fragments: tuple[Fragment, ...] = ()
    collapse: Collapse | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FractureDraw:
    """Parameters of one fracture and its random generator.

    Attributes:
        rng: Random generator.
        displaced: Whether a fragment moves or an end plate sinks.
        size: Dimensions of the vertebra.
        scale: Size of the person relative to the vertebra's frame.
        stratum: Distributions of the cracks; None for the classic ones.
        loss_share: Largest loss of height over the height of the body; None for the classic one.
    """

    rng: np.random.Generator
    displaced: bool
    size: VertebraSize
    scale: float = 1.0
    stratum: Stratum | None = None
    loss_share: float | None = None

    def uniform(self, low: float, high: float) -> float:
        """Draw a number between two bounds."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """Draw True with a given probability."""
        return bool(self.rng.uniform() < share)

    def sides(self, both: float) -> tuple[int, ...]:
        """Draw both sides (-1 right, 1 left) with a given probability, else one of them."""
        return (-1, 1) if self.chance(both) else (int(self.rng.choice((-1, 1))),)

    def cut(
        self, point: Vec3, normal: Vec3, region: Region, *, bowl: float = 0.0, wide: bool = False
    ) -> Break:
        """Draw a rough crack with a random gap near the given plane.

        Args:
            point: A point of the plane.
            normal: Its normal, towards the fragment that moves; tilted by a few degrees.
            region: Where the crack runs.
            bowl: Curvature, see `Break`.
            wide: Whether a displaced fracture has a gap from the upper half of the range.
        """
        low, high = GAP_MM if self.displaced else HAIRLINE_MM
        low = (low + high) / 2 if wide and self.displaced else low
        phases = self.rng.uniform(0, 2 * np.pi, 3)
        tilted = np.asarray(normal) / np.linalg.norm(normal) + self.rng.normal(0, 0.06, 3)
        if self.stratum is None:
            gap_mm = self.uniform(low, high)
        else:
            gap_mm = self.stratum.gap_mm.draw(self.rng)
            bowl += self.stratum.bowl.draw(self.rng)
            if not self.displaced and self.chance(self.stratum.partial):
                region = self._partial(region, point, tilted)
        return Break(
            point,
            (float(tilted[0]), float(tilted[1]), float(tilted[2])),
            gap_mm,
            region,
            (float(phases[0]), float(phases[1]), float(phases[2])),
            bowl,
        )

    def shift(
        self, direction: Vec3, breaks: Sequence[Break], at_most: float = DISPLACEMENT_MM[1]
    ) -> Vec3:
        """Draw a displacement of 0.5 mm or more near a direction that keeps every crack's gap.

        A fragment moves away from a crack by at most its gap and never into the bone beyond it.

        Args:
            direction: Preferred direction of the fragment.
            breaks: The cracks that bound it, their normals pointing into it.
            at_most: Its largest displacement in mm.
        """
        d = np.asarray(direction) / np.linalg.norm(direction)
        d = d + self.rng.normal(0, 0.12, 3)
        shift = d / np.linalg.norm(d) * self.uniform(DISPLACEMENT_MM[0], at_most)
        for _ in range(20):
            for cut in breaks:
                n = cut.unit_normal
                along = float(shift @ n)
                shift = shift + (np.clip(along, 0, cut.gap_mm) - along) * n
        missing = DISPLACEMENT_MM[0] ** 2 - float(shift @ shift)
        if missing > 0:
            along = self._along(breaks)
            shift = shift + np.sqrt(missing) * along * (1.0 if shift @ along >= 0 else -1.0)
        return float(shift[0]), float(shift[1]), float(shift[2])

    def one_piece(
        self, cut: Break, towards: Vec3, at_most: float = DISPLACEMENT_MM[1],
        piece: Region | None = None,
    ) -> Built:  # fmt: skip
        """Build one crack, and the part beyond it as a fragment that may be displaced."""
        if not self.displaced:
            return Built((cut,))
        shift = self.shift(towards, (cut,), at_most)
        return Built((cut,), (Fragment(shift, (0,), piece or cut.region),))

    def _partial(self, region: Region, point: Vec3, normal: NDArray[np.float64]) -> Region:
        """End a crack within the bone, along a random direction in its plane."""
        across = np.cross(normal, self.rng.normal(size=3))
        across /= max(float(np.linalg.norm(across)), 1e-6)
        reach = np.float32(self.uniform(-0.5, 2.5))
        way = across.astype(np.float32)

        def inside(p: Points) -> NDArray[np.bool_]:
            along = sum(w * (v - np.float32(c)) for w, v, c in zip(way, p, point, strict=True))
            return np.asarray(region(p), dtype=bool) & (along < reach)

        return inside

    def _along(self, breaks: Sequence[Break]) -> NDArray[np.float64]:
        """Draw a unit vector that leaves every crack's width unchanged."""
        normals = np.array([cut.unit_normal for cut in breaks]).reshape(-1, 3)
        return np.linalg.svd(normals)[2][-1] * self.rng.choice((-1.0, 1.0))

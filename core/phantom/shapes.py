"""Shape of one person's vertebra: size, joints, spurs, old ossicles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from core.phantom.sdf import Vec3
from core.phantom.sizes import SIZES, VertebraSize


@dataclass(frozen=True, slots=True)
class Spur:
    """A bony outgrowth: a tapering strut, mm in the vertebra's frame."""

    start: Vec3
    end: Vec3
    r0: float
    r1: float


@dataclass(frozen=True, slots=True)
class OldCleft:
    """A smooth gap with cortex on both sides: an unfused centre or an old ununited avulsion.

    Attributes:
        point: A point of the gap's middle, mm in the vertebra's frame.
        normal: Its normal, of unit length.
        gap_mm: Its width.
        low: Corner (u, a, h) of its box.
        high: The opposite corner.
    """

    point: Vec3
    normal: Vec3
    gap_mm: float
    low: Vec3
    high: Vec3


@dataclass(frozen=True, slots=True)
class Facets:
    """The planes that end an articular pillar: h = at - slope * (a - pillar_a), mm.

    Attributes:
        top: Height at which the upper joint surface crosses the pillar's axis.
        bottom: The same of the lower one.
        slope_top: Fall of the upper surface per mm to the back; 1 is 45 degrees.
        slope_bottom: The same of the lower surface.
        bulk: Extra radius (right, left) of worn, enlarged joints.
    """

    top: float
    bottom: float
    slope_top: float = 1.0
    slope_bottom: float = 1.0
    bulk: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Dens:
    """A person's dens.

    Attributes:
        extra_mm: Height above the average.
        lean: Way to the back per mm of height, above the average.
        blend_mm: Width of the fillet that joins it to the body.
    """

    extra_mm: float = 0.0
    lean: float = 0.0
    blend_mm: float = 3.0


@dataclass(frozen=True, slots=True)
class VertebraShape:
    """One vertebra of one person; hashable, so that its field can be cached.

    Attributes:
        name: C1..T3.
        size: Its dimensions.
        facets: Its articular pillars.
        foramen_mm: Radii (right, left) of the transverse foramina.
        fork_mm: Half distance of the two tips of a forked spinous process; 0 for a single tip.
        droop: Fall of the spinous process per mm of its length.
        wedge: Share of its front height that a body lacks without a fresh fracture.
        sclerosis: Density of the end plates (upper, lower), 0 healthy to 1 worn.
        spurs: Osteophytes and bridges of bone.
        old_clefts: Gaps that are not fresh fractures.
        phases: Six phases of its surface's irregular waves.
        rough_mm: Their amplitude.
        skew_mm: Offset of the spinous process's tip to the left.
        reach_mm: Extra length of the (right, left) transverse process.
        dens: The dens of C2.
        stout: Thickness of arch, pillars and processes relative to the average.
    """

    name: str
    size: VertebraSize
    facets: Facets
    foramen_mm: tuple[float, float] = (3.0, 3.0)
    fork_mm: float = 0.0
    droop: float = 0.3
    wedge: float = 0.0
    sclerosis: tuple[float, float] = (0.0, 0.0)
    spurs: tuple[Spur, ...] = ()
    old_clefts: tuple[OldCleft, ...] = ()
    phases: tuple[float, ...] = (0.3, 1.1, 2.0, 0.7, 2.6, 1.5)
    rough_mm: float = 0.22
    skew_mm: float = 0.0
    reach_mm: tuple[float, float] = (0.0, 0.0)
    dens: Dens = Dens()
    stout: float = 1.0


DROOP = {"C2": 0.35, "C7": 0.42, "T1": 0.5, "T2": 0.62, "T3": 0.7}


@lru_cache(maxsize=16)
def average_shape(name: str) -> VertebraShape:
    """The vertebra of an average, healthy adult."""
    size = SIZES[name]
    half = size.height / 2 + 2.0
    return VertebraShape(
        name=name,
        size=size,
        facets=Facets(half, -half),
        foramen_mm=(1.8, 1.8) if name == "C7" else (3.0, 3.0),
        fork_mm=4.0 if size.bifid else 0.0,
        droop=DROOP.get(name, 0.3),
    )

"""Age-related changes of the spine, and old findings that resemble fractures.

Discs narrow and spurs grow first at C5-C6 and C6-C7 (Gore et al. 1986, "Roentgenographic findings
of the cervical spine in asymptomatic people", Spine 11:521-524). Clefts of C1's arches after
Currarino et al. 1994 (AJNR 15:131-139: about 4 % posterior), the arch over the vertebral artery
after Elliott & Tanweer 2014 (World Neurosurg 82:335-343: about 17 %).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.phantom.recipe import Range
from core.phantom.shapes import OldCleft, Spur, VertebraShape
from core.phantom.sizes import LEVELS

DISC_WEAR = {
    "C2": 0.25, "C3": 0.5, "C4": 0.75, "C5": 1.0, "C6": 0.9, "C7": 0.3, "T1": 0.2, "T2": 0.2,
}  # fmt: skip
"""Relative wear rate of the disc below a level; C5-C6 is 1."""


def sample_disc_wear(age_years: float, rng: np.random.Generator) -> dict[str, float]:
    """Wear of the disc below each level C2..T2: 0 healthy to 1 nearly gone."""
    general = 1 / (1 + np.exp(-(age_years - 58) / 9))
    return {
        name: float(np.clip(general * weight * rng.gamma(2.2, 0.42), 0, 1))
        for name, weight in DISC_WEAR.items()
    }


def age_shape(
    shape: VertebraShape,
    wear: dict[str, float],
    age_years: float,
    rng: np.random.Generator,
    spur_mm: Range | None = None,
) -> VertebraShape:
    """Add the spurs, dense end plates and worn joints that match the wear of its discs.

    Args:
        shape: A healthy vertebra.
        wear: `sample_disc_wear`, by the level above each disc.
        age_years: The person's age.
        rng: Random generator.
        spur_mm: Length of single osteophytes at fully worn discs; lips around the whole rim by
            default.
    """
    if shape.name == "C1":
        return shape
    above = wear.get(LEVELS[LEVELS.index(shape.name) - 1], 0.0)
    below = wear.get(shape.name, 0.0)
    if shape.name == "C2":
        above = 0.0
    ends = ((above, 1), (below, -1))
    if spur_mm is None:
        spurs = [spur for worn, up in ends for spur in _rim_spurs(shape, worn, up, rng)]
    else:
        spurs = [spur for worn, up in ends for spur in _beaks(shape, worn, up, spur_mm, rng)]
    joint = np.clip((age_years - 50) / 40, 0, 1) * rng.uniform(0, 2.2, 2) ** 1.5 * 0.55
    joint = joint + 0.8 * max(above, below) * rng.uniform(0, 1, 2)
    return replace(
        shape,
        spurs=(*shape.spurs, *spurs),
        sclerosis=(above * float(rng.uniform(0.3, 1)), below * float(rng.uniform(0.3, 1))),
        facets=replace(shape.facets, bulk=(float(joint[0]), float(joint[1]))),
    )


def _rim_spurs(shape: VertebraShape, wear: float, up: int, rng: np.random.Generator) -> list[Spur]:
    """Lips around one end plate: to the front, at the uncinate joints, and small to the back."""
    size = shape.size
    longest = 5.0 * wear
    if longest < 0.6:
        return []
    spurs: list[Spur] = []
    edge = up * size.height / 2
    waves = rng.uniform(0, 2 * np.pi, 3)
    for angle in np.radians(np.arange(-162, 181, 18)):
        ahead = np.cos(angle)
        share = 1.0 if ahead > 0.4 else 0.45 if ahead > -0.4 else 0.2
        wave = sum(np.sin((k + 1) * angle + waves[k]) / (k + 1) for k in range(3))
        length = longest * share * float(np.clip(0.55 + 0.4 * wave, 0, 1.2))
        if length < 0.5:
            continue
        ru = size.width / 2 + (2.2 if up > 0 else 1.4)
        ra = size.depth / 2 + (1.2 if ahead > 0 else -0.3)
        out = np.array([np.sin(angle), -ahead])
        rim = out * (ru, ra)
        tip = rim + out * length
        rise = edge + up * (0.45 * length if ahead > 0 else 0.2 * length)
        start = (float(rim[0] * 0.8), float(rim[1] * 0.8), edge - up * 2.2)
        spurs.append(Spur(start, (float(tip[0]), float(tip[1]), float(rise)), 2.4, 1.2))
    return spurs


def _beaks(
    shape: VertebraShape, wear: float, up: int, length_mm: Range, rng: np.random.Generator
) -> list[Spur]:
    """One to three single osteophytes at one end plate: broad roots with a hooked beak."""
    size, spurs = shape.size, []
    if wear < 0.15:
        return []
    edge = up * size.height / 2
    for _ in range(int(rng.integers(1, 4))):
        # Most lie in front or at the uncinate joints.
        angle = float(rng.choice((0.0, -1.3, 1.3, 2.6, -2.6), p=(0.4, 0.2, 0.2, 0.1, 0.1)))
        angle += float(rng.normal(0, 0.35))
        ahead = np.cos(angle)
        length = wear * length_mm.draw(rng) * (1.0 if ahead > 0 else 0.45)
        out = np.array([np.sin(angle), -ahead])
        rim = out * (size.width / 2 + 1.2, size.depth / 2 + (0.8 if ahead > 0 else -0.5))
        bend = float(rng.uniform(-0.1, 0.8))
        middle = rim + out * 0.6 * length
        tip = rim + out * length * float(rng.uniform(0.7, 1.0))
        root = (float(rim[0] * 0.75), float(rim[1] * 0.75), edge - up * 2.6)
        knee = (float(middle[0]), float(middle[1]), edge + up * 0.15 * length * bend)
        end = (float(tip[0]), float(tip[1]), edge + up * length * bend)
        thick = float(rng.uniform(1.6, 3.2))
        spurs += [Spur(root, knee, thick, 0.65 * thick), Spur(knee, end, 0.65 * thick, 0.7)]
    return spurs


def add_open_arch(
    shapes: dict[str, VertebraShape], rng: np.random.Generator, share: float
) -> dict[str, VertebraShape]:
    """Leave a part of C1's posterior arch out in a share of people."""
    if rng.uniform() >= share:
        return shapes
    off, gap = float(rng.normal(0, 6)), float(rng.uniform(8, 22))
    low, high = (off - gap / 2 - 2, 14.0, -9.0), (off + gap / 2 + 2, 34.0, 9.0)
    absent = OldCleft((off, 24.0, 0.0), (1.0, 0.0, 0.0), gap, low, high)
    return shapes | {"C1": _add(shapes["C1"], absent)}


def add_old_findings(
    shapes: dict[str, VertebraShape], age_years: float, rng: np.random.Generator
) -> dict[str, VertebraShape]:
    """Add an unfused arch, an ununited tip, a limbus or a healed wedge to some people.

    Args:
        shapes: Shapes by level; not changed.
        age_years: The person's age.
        rng: Random generator.

    Returns:
        The shapes with their old findings.
    """
    found = dict(shapes)
    draw = rng.uniform(size=6)
    if draw[0] < 0.04:
        found["C1"] = _add(found["C1"], _midline_gap(rng))
    if draw[1] < 0.16:
        sides = (-1, 1) if rng.uniform() < 0.4 else (int(rng.choice((-1, 1))),)
        bridges = tuple(spur for side in sides for spur in _bridge(side))
        found["C1"] = replace(found["C1"], spurs=found["C1"].spurs + bridges)
    if draw[2] < 0.05:
        name = str(rng.choice(("C6", "C7", "T1"), p=(0.3, 0.5, 0.2)))
        found[name] = _add(found[name], _loose_tip(found[name], rng))
    if draw[3] < 0.06:
        name = str(rng.choice(("C4", "C5", "C6")))
        found[name] = _add(found[name], _limbus(found[name], rng))
    if draw[4] < 0.1 + 0.1 * (age_years > 60):
        for name in rng.choice(("C4", "C5", "C6", "C7"), size=2, replace=False):
            wedge = float(rng.uniform(0.06, 0.2))
            found[str(name)] = replace(found[str(name)], wedge=wedge)
    if draw[5] < 0.006:
        found["C2"] = _add(found["C2"], _os_odontoideum(rng))
    return found


def _add(shape: VertebraShape, cleft: OldCleft) -> VertebraShape:
    return replace(shape, old_clefts=(*shape.old_clefts, cleft))


def _midline_gap(rng: np.random.Generator) -> OldCleft:
    off = float(rng.normal(0, 1.0))
    gap = float(rng.uniform(1.5, 5.0))
    return OldCleft((off, 24.0, 0.0), (1.0, 0.0, 0.0), gap, (-9, 18, -8), (9, 32, 8))


def _bridge(side: int) -> tuple[Spur, Spur]:
    """Bone over the groove of the vertebral artery."""
    start, middle, end = (side * 18.0, 4.5, 5.0), (side * 20.0, 8.5, 7.0), (side * 19.0, 13.0, 3.0)
    return Spur(start, middle, 1.5, 1.2), Spur(middle, end, 1.2, 1.4)


def _loose_tip(shape: VertebraShape, rng: np.random.Generator) -> OldCleft:
    size = shape.size
    at = size.depth / 2 + size.canal_depth + size.spinous * float(rng.uniform(0.6, 0.8))
    depth = -2.0 - shape.droop * size.spinous
    return OldCleft(
        (0.0, at, depth), (0.0, 0.94, 0.34), float(rng.uniform(1.4, 3.0)),
        (-8, at - 7, depth - 14), (8, at + 9, depth + 14),
    )  # fmt: skip


def _limbus(shape: VertebraShape, rng: np.random.Generator) -> OldCleft:
    """An unfused front corner of the rim, cut off by a smooth slanting gap."""
    size = shape.size
    up = 1 if rng.uniform() < 0.6 else -1
    corner = np.array([-size.depth / 2, up * size.height / 2])
    inward = np.array([1.0, -up]) / np.sqrt(2)
    point = corner + inward * float(rng.uniform(2.2, 3.4))
    return OldCleft(
        (0.0, float(point[0]), float(point[1])), (0.0, float(inward[0]), float(inward[1])),
        float(rng.uniform(1.0, 1.8)),
        (-9, float(corner[0]) - 4, float(min(corner[1] - 6, corner[1] + 6))),
        (9, float(corner[0]) + 7, float(max(corner[1] - 6, corner[1] + 6))),
    )  # fmt: skip


def _os_odontoideum(rng: np.random.Generator) -> OldCleft:
    at = float(rng.uniform(12.5, 15.0))
    gap = float(rng.uniform(2.5, 5.0))
    return OldCleft((0.0, -1.5, at), (0.0, 0.1, 0.995), gap, (-8, -9, 8), (8, 6, 20))

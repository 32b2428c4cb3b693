"""One study's surroundings of the vertebrae: what `recipe.Surroundings` is drawn into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.phantom.recipe import Range, Surroundings

Line = NDArray[np.floating[Any]]

HU_AIRWAY, HU_FAT, HU_MUSCLE = -990.0, -98.0, 58.0
"""Of the classic surroundings."""

BLOOD_HU: Final = {
    "none": (Range(30, 60), Range(30, 60)),
    "arterial": (Range(180, 480), Range(45, 120)),
    "venous": (Range(90, 180), Range(110, 220)),
    "mixed": (Range(120, 300), Range(120, 300)),
    "gas": (Range(-950, -500), Range(-950, 40)),
}
"""HU of arteries and veins by contrast."""

FRONT_MM: Final = 140.0
"""Heights, from C4, between which profiles along the airway are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A quantity that varies along the neck, whatever the vertebra: knots and values in mm."""

    z: Line
    values: Line

    def at(self, z: Line) -> Line:
        """Values at heights."""
        return np.interp(z, self.z, self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Airway:
    """The airway of one study.

    Attributes:
        state: One of `Surroundings.airway`.
        width: Half width along the neck.
        depth: Half depth.
        wall: Soft tissue between bodies and airway.
        side_mm: Offset to a side.
        content_hu: Density of what fills it.
        tube_mm: Outer radius of a tracheal tube; 0 without.
        cuff_mm: Height of the middle of its cuff.
    """

    state: str
    width: Profile
    depth: Profile
    wall: Profile
    side_mm: float
    content_hu: float
    tube_mm: float
    cuff_mm: float


@dataclass(frozen=True, slots=True)
class Move:
    """How far a group of tissues is moved (mm, up) and stretched along the neck."""

    shift_mm: float = 0.0
    stretch: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Surroundings of the vertebrae in one study; the defaults are the classic ones.

    Attributes:
        airway: The airway; None for the classic one.
        larynx: Move of larynx and tongue.
        hyoid: Move of the hyoid bone.
        muscles: Move of the muscles.
        vessels: Move of the vessels in front of the spine.
        glands: Move of glands and nodes.
        skin: Move of the outline.
        lungs: Move of the lungs' tops.
        jaw_mm: Move of the jaws (to a side, back, up), in the head's frame.
        nod_deg: Flexion of the head over C1; None to draw the classic one.
        outline: (order, amplitude in mm, phase, turns per mm) of each wave of the outline.
        skin_fat_mm: Fat below the skin; None for the classic one.
        muscle_hu: Density of muscles.
        fat_hu: Density of fat.
        marbling: Contrast of the fat within all flesh.
        grain_px: Distance of its knots in pixels.
        fascia_mm: Fat around each muscle.
        muscle_size: Relative width by (muscle, side).
        blood_hu: Density of arteries and veins; None for the person's contrast.
        collar: Whether a collar is worn.
        support: What the head lies on; "headrest" is the classic one.
        gas: Whether there is gas in the soft tissue.
        spinal_metal: Whether vertebrae hold metal.
        lines: Whether wires or tubes lie on the neck.
        nodes: Number of small bodies placed anywhere.
    """

    airway: Airway | None = None
    larynx: Move = Move()
    hyoid: Move = Move()
    muscles: Move = Move()
    vessels: Move = Move()
    glands: Move = Move()
    skin: Move = Move()
    lungs: Move = Move()
    jaw_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    nod_deg: float | None = None
    outline: tuple[tuple[int, float, float, float], ...] = ()
    skin_fat_mm: float | None = None
    muscle_hu: float = HU_MUSCLE
    fat_hu: float = HU_FAT
    marbling: float = 1.0
    grain_px: int = 7
    fascia_mm: float = 1.0
    muscle_size: dict[tuple[str, int], float] = field(default_factory=dict)
    blood_hu: tuple[float, float] | None = None
    collar: bool = False
    support: str = "headrest"
    gas: bool = False
    spinal_metal: bool = False
    lines: bool = False
    nodes: int = 0


PLAIN: Final = Scene()
"""The classic surroundings."""


def sample_scene(
    rng: np.random.Generator, mix: Surroundings | None, muscles: tuple[str, ...]
) -> Scene:
    """Draw the surroundings of one study; without a mix they are the classic ones.

    Args:
        rng: Random generator; not used without a mix.
        mix: Distributions.
        muscles: Names of the muscles.
    """
    if mix is None:
        return PLAIN
    move = [Move(mix.shift_mm.draw(rng), mix.stretch.draw(rng)) for _ in range(7)]
    blood = BLOOD_HU[mix.contrast.draw(rng)]
    return Scene(
        airway=_airway(rng, mix),
        larynx=move[0],
        hyoid=move[1],
        muscles=move[2],
        vessels=move[3],
        glands=move[4],
        skin=move[5],
        lungs=Move(0.4 * move[6].shift_mm),
        jaw_mm=(
            float(rng.normal(0, 4)), float(rng.normal(0, 10)), mix.jaw_shift_mm.draw(rng)
        ),
        nod_deg=mix.nod_deg.draw(rng),
        outline=_outline(rng, mix.outline_mm.draw(rng)),
        skin_fat_mm=mix.skin_fat_mm.draw(rng),
        muscle_hu=mix.muscle_hu.draw(rng),
        fat_hu=mix.fat_hu.draw(rng),
        marbling=mix.marbling.draw(rng),
        grain_px=int(rng.integers(4, 22)),
        fascia_mm=mix.fascia_mm.draw(rng),
        muscle_size={(n, side): mix.muscle_size.draw(rng) for n in muscles for side in (-1, 1)},
        blood_hu=(blood[0].draw(rng), blood[1].draw(rng)),
        collar=bool(rng.uniform() < mix.collar),
        support=mix.support.draw(rng),
        gas=bool(rng.uniform() < mix.gas),
        spinal_metal=bool(rng.uniform() < mix.spinal_metal),
        lines=bool(rng.uniform() < mix.lines),
        nodes=int(rng.integers(0, mix.nodes + 1)),
    )  # fmt: skip


def _airway(rng: np.random.Generator, mix: Surroundings) -> Airway:
    """Shape, place and content of the airway, none of which depends on a vertebra's level."""
    state = mix.airway.draw(rng)
    width, depth, wall = (
        _profile(rng, spread, mix.airway_step_mm)
        for spread in (mix.airway_width_mm, mix.airway_depth_mm, mix.prevertebral_mm)
    )
    shrink = {"narrow": 0.5, "collapsed": 0.0}.get(state, 1.0)
    fluid = {"filled": Range(0.0, 70.0).draw(rng)}.get(state, HU_AIRWAY)
    return Airway(
        state=state,
        width=Profile(width.z, width.values * shrink),
        depth=Profile(depth.z, depth.values * shrink),
        wall=wall,
        side_mm=mix.airway_side_mm.draw(rng),
        content_hu=fluid,
        tube_mm=Range(3.5, 6.0).draw(rng) if state == "tube" else 0.0,
        cuff_mm=float(rng.uniform(-FRONT_MM, FRONT_MM)),
    )


def _profile(rng: np.random.Generator, spread: Range, step_mm: float) -> Profile:
    """Draw a stationary course: independent values at even distances from a random start."""
    start = -FRONT_MM - float(rng.uniform(0, step_mm))
    z = np.arange(start, FRONT_MM + 2 * step_mm, step_mm)
    return Profile(z, np.array([spread.draw(rng) for _ in z]))


def _outline(
    rng: np.random.Generator, amplitude_mm: float
) -> tuple[tuple[int, float, float, float], ...]:
    """Waves around the neck whose phase drifts along it."""
    return tuple(
        (
            order,
            amplitude_mm * float(rng.normal()) / order**0.7,
            float(rng.uniform(0, 2 * np.pi)),
            float(rng.normal(0, 0.025)),
        )
        for order in (1, 2, 3, 5, 7)
    )

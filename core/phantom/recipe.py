"""Recipes: the distributions from which studies are drawn.

`classic` is the generator that the shipped networks were trained on. `varied` draws what surrounds
the vertebrae independently of their level, so that only a vertebra itself shows which one it is,
and draws fractures by how well they show. A part that is None in a recipe keeps the classic draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from core.errors import ConfigError

RecipeName = Literal["classic", "varied", "varied_long"]
DEFAULT_RECIPE: Final[RecipeName] = "classic"
"""The recipe of every cohort that names none."""


@dataclass(frozen=True, slots=True)
class Range:
    """A uniform distribution between two bounds, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        if self.log:
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class Odds:
    """A choice between named outcomes, (name, share) each; the shares sum to 1."""

    shares: tuple[tuple[str, float], ...]

    def draw(self, rng: np.random.Generator) -> str:
        """Draw one name."""
        names, shares = zip(*self.shares, strict=True)
        return str(rng.choice(names, p=np.asarray(shares) / sum(shares)))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around the vertebrae; lengths in mm, densities in HU.

    Attributes:
        airway: States of the airway.
        airway_width_mm: Half width of the airway, drawn again every `airway_step_mm` along it.
        airway_depth_mm: Half depth, likewise.
        airway_step_mm: Distance of two draws along the airway.
        airway_side_mm: Offset of the airway to a side.
        prevertebral_mm: Soft tissue between bodies and airway.
        marbling: Contrast of the fat between the fibres of all flesh, 1 as in classic studies.
        fascia_mm: Fat around each muscle.
        shift_mm: How far larynx, hyoid, tongue, muscles, vessels and glands each are moved up or
            down from the level where they belong.
        stretch: By how much each is stretched along the neck.
        jaw_shift_mm: The same for jaws and teeth, which stay attached to a moved jaw.
        nod_deg: Flexion of the head over C1.
        shoulder_mm: Distance of the shoulders' top below C7's middle.
        girth: Soft-tissue girth relative to the average.
        outline_mm: Amplitude of the waves of the outline of the neck.
        skin_fat_mm: Fat below the skin.
        muscle_hu: Density of muscles.
        fat_hu: Density of fat.
        muscle_size: Width of each muscle relative to the average, side by side.
        contrast: What the vessels hold.
        collar: Share of people in a collar.
        support: What the head lies on.
        gas: Share of people with gas in soft tissue, as after an injury or death.
        spinal_metal: Share of people with screws and plates or rods in vertebrae.
        lines: Share of people with wires or tubes on or in the neck.
        nodes: Largest number of lymph nodes, clips or calcified spots, placed anywhere.
    """

    airway: Odds = Odds(
        (("open", 0.5), ("narrow", 0.1), ("collapsed", 0.1), ("filled", 0.15), ("tube", 0.15))
    )
    airway_width_mm: Range = Range(4.0, 17.0)
    airway_depth_mm: Range = Range(3.5, 11.0)
    airway_step_mm: float = 18.0
    airway_side_mm: Range = Range(-12.0, 12.0)
    prevertebral_mm: Range = Range(3.0, 18.0)
    marbling: Range = Range(0.0, 1.2)
    fascia_mm: Range = Range(0.2, 2.2)
    shift_mm: Range = Range(-60.0, 60.0)
    stretch: Range = Range(0.7, 1.5)
    jaw_shift_mm: Range = Range(-45.0, 30.0)
    nod_deg: Range = Range(-14.0, 14.0)
    shoulder_mm: Range = Range(-45.0, 60.0)
    girth: Range = Range(0.78, 1.45)
    outline_mm: Range = Range(0.5, 6.0)
    skin_fat_mm: Range = Range(1.5, 28.0, log=True)
    muscle_hu: Range = Range(25.0, 72.0)
    fat_hu: Range = Range(-120.0, -75.0)
    muscle_size: Range = Range(0.6, 1.4)
    contrast: Odds = Odds(
        (("none", 0.5), ("arterial", 0.2), ("venous", 0.12), ("mixed", 0.12), ("gas", 0.06))
    )
    collar: float = 0.35
    support: Odds = Odds(
        (("headrest", 0.35), ("board", 0.2), ("table", 0.2), ("pillow", 0.15), ("none", 0.1))
    )
    gas: float = 0.1
    spinal_metal: float = 0.06
    lines: float = 0.35
    nodes: int = 14


@dataclass(frozen=True, slots=True)
class Protocol:
    """Voxels and coverage.

    Attributes:
        sizes: (factor on the rows asked for, share); 256 rows become 256 to 768.
        pixel_mm: In-plane spacing at 256 rows asked for; it scales with fewer.
        field_mm: Field of view.
        slice_mm: Slice distance.
        overlap: Slice thickness over slice distance.
        cover_mm: Length of the scan.
        megavoxels: Largest number of voxels, in millions, at 256 rows asked for; it bounds the
            length of the scan, and so the time per study.
        off_center_mm: Offset of the spine from its usual place in the field.
    """

    sizes: tuple[tuple[float, float], ...] = ((1.0, 0.74), (1.5, 0.14), (2.0, 0.09), (3.0, 0.03))
    pixel_mm: Range = Range(0.3, 1.0)
    field_mm: Range = Range(110.0, 250.0)
    slice_mm: Range = Range(0.5, 3.0, log=True)
    overlap: Range = Range(0.8, 2.0)
    cover_mm: Range = Range(60.0, 260.0)
    megavoxels: float = 8.0
    off_center_mm: Range = Range(-22.0, 22.0)


@dataclass(frozen=True, slots=True)
class ScannerMix:
    """Kernels from smooth to sharp, noise and motion.

    Attributes:
        blur_mm: Standard deviation of the in-plane blur; the smaller, the sharper.
        boost: Edge enhancement of the sharpest kernel.
        noise_hu: Standard deviation of the noise in the neck.
        motion: Share of studies in which the person moved.
        motion_mm: Distance moved.
        motion_slices: Number of neighbouring slices.
        earrings: Share of people with earrings.
        gain: Error of the HU scale.
        offset_hu: Error of its zero.
    """

    blur_mm: Range = Range(0.2, 0.95)
    boost: Range = Range(0.0, 1.6)
    noise_hu: Range = Range(8.0, 60.0, log=True)
    motion: float = 0.2
    motion_mm: Range = Range(0.5, 4.0)
    motion_slices: Range = Range(2.0, 12.0)
    earrings: float = 0.08
    gain: Range = Range(0.97, 1.03)
    offset_hu: Range = Range(-12.0, 12.0)


@dataclass(frozen=True, slots=True)
class Stratum:
    """A class of fractures by how well they show.

    Attributes:
        name: Name in the truth and in tables.
        share: Share of the fractures that are drawn as such.
        gap_mm: Width of the crack.
        cnr: Contrast-to-noise ratio to which a crack is filled; None leaves it empty.
        displaced: Share with displaced fragments, loss of height or dislocation.
        partial: Share whose crack ends within the bone.
        bowl: Curvature of the crack, 1/mm.
    """

    name: str
    share: float
    gap_mm: Range
    cnr: Range | None
    displaced: float
    partial: float
    bowl: Range


@dataclass(frozen=True, slots=True)
class FractureMix:
    """Fractures by visibility.

    Attributes:
        strata: The strata; their shares sum to 1.
        loss_share: Largest loss of height over the height of the body.
        dislocation: Share of displaced fractures of C3-C7 with a dislocation.
        dislocation_mm: Slip of the vertebra above.
        swelling_mm: Depth of prevertebral swelling.
        false_swelling: Share of people with a swelling of another cause.
    """

    strata: tuple[Stratum, ...] = (
        Stratum("displaced", 0.3, Range(0.6, 2.4), None, 1.0, 0.0, Range(-0.01, 0.01)),
        Stratum("clear", 0.25, Range(0.7, 1.6), Range(7.0, 14.0), 0.0, 0.1, Range(-0.015, 0.015)),
        Stratum("faint", 0.25, Range(0.4, 1.0), Range(4.0, 7.0), 0.0, 0.3, Range(-0.02, 0.02)),
        Stratum("hard", 0.2, Range(0.2, 0.5), Range(2.0, 4.0), 0.0, 0.7, Range(-0.04, 0.04)),
    )
    loss_share: float = 0.6
    dislocation: float = 0.15
    dislocation_mm: Range = Range(2.5, 8.0)
    swelling_mm: Range = Range(2.0, 14.0)
    false_swelling: float = 0.15


@dataclass(frozen=True, slots=True)
class BoneMix:
    """Bones that differ more from person to person.

    Attributes:
        size_spread: Factor on the spread of each person's proportions.
        cortex_mm: Mean thickness of the shell.
        cortex_hu: HU of compact bone.
        cortex_waves: Relative variation of the shell's thickness along the surface.
        end_plate: Thickness of the shell at end plates and pedicles over that elsewhere.
        grain_hu: Standard deviation of the trabecular texture of a young person.
        grain_stretch: Length of the trabeculae along the load over their width.
        patches_hu: Standard deviation of patches of denser and thinner spongy bone.
        spur_mm: Largest length of an osteophyte at a fully worn disc.
        vacuum: Share of worn discs with gas.
        calcified: Share of worn discs with a calcified rim.
        fused: Share of people with two fused bodies (Klippel-Feil, or after surgery).
        ossified: Share of people over 40 with ossified longitudinal ligaments.
        pannus: Share of people over 40 with tissue behind the dens.
        ossicles: Share of people with an ossicle near a joint or process.
        ribs: Share of people with cervical ribs (Spadlinski et al. 2016: about 1 %).
        open_arch: Share of people who lack a part of C1's arch.
    """

    size_spread: float = 1.7
    cortex_mm: Range = Range(0.5, 1.4)
    cortex_hu: Range = Range(850.0, 1600.0)
    cortex_waves: Range = Range(0.2, 0.6)
    end_plate: Range = Range(0.4, 0.8)
    grain_hu: Range = Range(35.0, 110.0)
    grain_stretch: Range = Range(1.3, 3.5)
    patches_hu: Range = Range(10.0, 60.0)
    spur_mm: Range = Range(2.0, 9.0)
    vacuum: float = 0.15
    calcified: float = 0.12
    fused: float = 0.03
    ossified: float = 0.1
    pannus: float = 0.05
    ossicles: float = 0.12
    ribs: float = 0.01
    open_arch: float = 0.015


@dataclass(frozen=True, slots=True)
class Recipe:
    """Distributions of a generator; None keeps the classic draws of that part.

    Attributes:
        name: Name in options, manifests and cohorts.
        surroundings: Everything around the vertebrae.
        protocol: Voxels and coverage of studies that are not RSNA-like.
        scanner: Kernels, noise and motion.
        fractures: Fractures by visibility.
        bone: Bones.
    """

    name: RecipeName
    surroundings: Surroundings | None = None
    protocol: Protocol | None = None
    scanner: ScannerMix | None = None
    fractures: FractureMix | None = None
    bone: BoneMix | None = None


CLASSIC: Final = Recipe("classic")
VARIED: Final = Recipe(
    "varied", Surroundings(), Protocol(), ScannerMix(), FractureMix(), BoneMix()
)  # fmt: skip
LONG: Final = replace(
    VARIED,
    name="varied_long",
    protocol=Protocol(
        sizes=((1.0, 1.0),), slice_mm=Range(1.4, 3.0, log=True), cover_mm=Range(150.0, 260.0)
    ),
)
"""As `varied`, in thicker slices that cover most of a neck: for networks that count vertebrae."""
RECIPES: Final[dict[str, Recipe]] = {recipe.name: recipe for recipe in (CLASSIC, VARIED)}
_NAMED: Final = RECIPES | {LONG.name: LONG}


def recipe_named(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        ConfigError: There is no such recipe.
    """
    if name not in _NAMED:
        raise ConfigError(f"There is no recipe {name!r}; choose one of {', '.join(_NAMED)}.")
    return _NAMED[name]

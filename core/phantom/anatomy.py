"""One person's neck: sex, age, sizes, posture and where each vertebra stands.

Dimensions of an average adult are in `sizes`; women's vertebrae are smaller, above all front to
back (Vasavada et al. 2008, J Biomech 41:114-121; Ezra et al. 2017, Spine J 17:425-435). Lordosis
and disc heights as in Gore et al. 1986 (Spine 11:521-524) and Gilad & Nissan 1986 (Spine
11:154-157). Density of spongy bone falls with age (Yoganandan et al. 2006, Bone 39:382-391).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.phantom.bone_look import BoneLook, sample_look
from core.phantom.degeneration import (
    add_old_findings,
    add_open_arch,
    age_shape,
    sample_disc_wear,
)
from core.phantom.disc_looks import sample_discs
from core.phantom.posture import Pose, fit_facets, sample_posture, stack
from core.phantom.recipe import BoneMix
from core.phantom.shapes import Dens, VertebraShape, average_shape
from core.phantom.sizes import LEVELS

FORK_SHARE = {"C2": 0.95, "C3": 0.8, "C4": 0.85, "C5": 0.85, "C6": 0.5}
"""How often a spinous process is forked (Duray et al. 1999, Am J Phys Anthropol 110:369-377)."""


STOUT = (1.0, 1.4)
"""Thickness of arches and processes of people whose bones differ more. The real mask of
docs/data.md has thicker ones than the average adult of `sizes`."""


@dataclass(frozen=True, slots=True)
class Dentition:
    """Teeth from right to left, sixteen per jaw: 0 missing, 1 sound, 2 with a metal filling.

    Attributes:
        upper: Teeth of the upper jaw.
        lower: Teeth of the lower jaw.
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One person.

    Attributes:
        scale: Size relative to the table, about 0.86 (small woman) to 1.12 (tall man).
        poses: Poses by level, C1..T3.
        cortex_mm: Thickness of the cortical shell.
        cortex_hu: HU of compact bone.
        trabecular_hu: Mean HU of spongy bone; low in old people.
        girth: Soft-tissue girth relative to the average.
        contrast_hu: HU of vessels.
        female: Whether the person is female.
        age_years: Age, 18 to 95.
        shapes: Shapes by level, C1..T3.
        discs: Height in mm of the disc below C2..T2, by the level above it.
        disc_wear: Wear of the same discs, 0 to 1.
        dentition: The teeth one by one.
        shoulder_mm: Distance of the shoulders' top below C7's middle; negative when raised.
        texture: float32 (64, 64, 64), unit variance, wraps around; spongy bone, axes (h, a, u).
        look: How bone differs from place to place; None for even shells and spongy bone.
        disc_looks: "gas", "rim" or "fused" for discs that are not plain, by the level above.
    """

    scale: float
    poses: dict[str, Pose]
    cortex_mm: float
    cortex_hu: float
    trabecular_hu: float
    girth: float
    contrast_hu: float
    female: bool
    age_years: float
    shapes: dict[str, VertebraShape]
    discs: dict[str, float]
    disc_wear: dict[str, float]
    dentition: Dentition
    shoulder_mm: float
    texture: NDArray[np.float32]
    look: BoneLook | None = None
    disc_looks: dict[str, str] = field(default_factory=dict)


def sample_anatomy(rng: np.random.Generator, mix: BoneMix | None = None) -> Anatomy:
    """Draw one person; C4 stands near the origin of the LPS frame.

    Args:
        rng: Random generator.
        mix: Distributions of bones that differ more; the classic ones by default.
    """
    female = bool(rng.uniform() < 0.45)
    age = float(np.clip(18 + 74 * rng.beta(1.35, 1.25), 18, 95))
    scale = float(np.clip(rng.normal(0.945 if female else 1.025, 0.04), 0.86, 1.12))
    wear = sample_disc_wear(age, rng)
    full = scale * float(rng.uniform(4.0, 5.4))
    discs = {name: full * (1 - 0.72 * worn) for name, worn in wear.items()}
    poses = stack(rng, sample_posture(age, rng), scale, discs)
    spread = mix.size_spread if mix else 1.0
    shapes = {name: _personal(name, female, rng, spread) for name in LEVELS}
    if mix is not None:
        shapes = {name: _uneven(shape, rng) for name, shape in shapes.items()}
    shapes = {name: _fit_uncus(shape, discs, scale) for name, shape in shapes.items()}
    gap = float(rng.uniform(1.5, 2.4)) * (1 - 0.25 * (age > 60))
    shapes = fit_facets(shapes, poses, scale, gap)
    spurs = mix.spur_mm if mix else None
    shapes = {name: age_shape(shape, wear, age, rng, spurs) for name, shape in shapes.items()}
    dentition = _sample_dentition(age, rng)
    old = (age - 18) / 74
    anatomy = Anatomy(
        scale=scale,
        poses=poses,
        cortex_mm=float(rng.uniform(1.0, 1.5)) * (1 - 0.15 * old),
        cortex_hu=float(rng.uniform(950, 1300) - 150 * old),
        trabecular_hu=float(rng.uniform(300, 440) - (190 if female else 150) * old),
        girth=float(np.clip(rng.normal(0.96 if female else 1.03, 0.09), 0.8, 1.25)),
        contrast_hu=float(rng.choice([45.0, 45.0, 230.0])),
        female=female,
        age_years=age,
        shapes=add_old_findings(shapes, age, rng),
        discs=discs,
        disc_wear=wear,
        dentition=dentition,
        shoulder_mm=float(np.clip(rng.normal(18, 14), -15, 45)),
        texture=_sample_texture(rng),
    )
    return anatomy if mix is None else _with_own_bone(anatomy, rng, mix)


def _with_own_bone(anatomy: Anatomy, rng: np.random.Generator, mix: BoneMix) -> Anatomy:
    """The same person with shells, spongy bone and discs of their own."""
    shapes = add_open_arch(anatomy.shapes, rng, mix.open_arch)
    return replace(
        anatomy,
        shapes=shapes,
        cortex_hu=mix.cortex_hu.draw(rng),
        cortex_mm=mix.cortex_mm.draw(rng) * (1 - 0.15 * (anatomy.age_years - 18) / 74),
        look=sample_look(rng, mix, anatomy.age_years),
        disc_looks=sample_discs(rng, anatomy.disc_wear, mix),
        texture=_sample_texture(rng, along=4.2 * mix.grain_stretch.draw(rng)),
    )


def _uneven(shape: VertebraShape, rng: np.random.Generator) -> VertebraShape:
    """A vertebra whose sides differ, with a dens of its own."""
    size = shape.size
    wide = replace(size, canal_width=size.canal_width * float(rng.normal(1.0, 0.04)))
    right, left = rng.normal(0, 1.6, 2).clip(-3, 4)
    dens = Dens(
        float(np.clip(rng.normal(0, 1.5), -2.5, 3.5)), float(rng.normal(0.02, 0.05)),
        float(rng.uniform(3, 7)),
    )  # fmt: skip
    atlas = shape.name == "C1"
    shorter = rng.uniform(0.72, 1.0) if shape.name in ("C3", "C4", "C5") else rng.uniform(0.82, 1)
    wide = replace(wide, spinous=size.spinous * float(shorter))
    extra = 2.0 if atlas else 0.0
    return replace(
        shape,
        size=size if atlas else wide,
        stout=float(rng.uniform(*STOUT)),
        rough_mm=float(rng.uniform(0.2, 0.5)),
        skew_mm=float(np.clip(rng.normal(0, 2.0), -5, 5)),
        reach_mm=(float(right) + extra, float(left) + extra),
        dens=dens if shape.name == "C2" else shape.dens,
    )


def _personal(name: str, female: bool, rng: np.random.Generator, spread: float) -> VertebraShape:
    """An average vertebra with its person's own proportions; arches and joints stay aligned."""
    shape = average_shape(name)
    if name == "C1":
        foramina = tuple(float(r) for r in rng.normal(3.1, 0.35, 2).clip(2.3, 3.9))
        return replace(shape, foramen_mm=(foramina[0], foramina[1]), phases=_phases(rng))
    size = shape.size
    small = 0.96 if female else 1.01
    deep = rng.normal(small, 0.025 * spread)
    size = replace(
        size,
        width=size.width * float(rng.normal(1.0, 0.025 * spread)),
        depth=size.depth * float(deep),
        canal_depth=size.canal_depth * float(rng.normal(1.0, 0.05 * spread)),
        spinous=size.spinous * float(rng.normal(small, 0.07 * spread)),
        transverse=size.transverse * float(rng.normal(1.0, 0.03 * spread)),
        uncus=size.uncus * float(rng.normal(1.0, 0.12)),
    )
    mean = 1.7 if name == "C7" else 2.9
    radii = rng.normal(mean, 0.35, 2).clip(1.2, 3.7)
    forked = rng.uniform() < FORK_SHARE.get(name, 0.0)
    return replace(
        shape,
        size=size,
        foramen_mm=(float(radii[0]), float(radii[1])),
        fork_mm=float(rng.uniform(2.8, 5.0)) if forked else 0.0,
        droop=float(shape.droop + rng.normal(0, 0.06)),
        phases=_phases(rng),
    )


def _fit_uncus(shape: VertebraShape, discs: dict[str, float], scale: float) -> VertebraShape:
    """Uncinate processes end below the body above, whose lower rim is bevelled by some 1.5 mm."""
    if shape.name in ("C1", "C2"):
        return shape
    above = discs[LEVELS[LEVELS.index(shape.name) - 1]] / scale
    return replace(shape, size=replace(shape.size, uncus=min(shape.size.uncus, above + 0.8)))


def _phases(rng: np.random.Generator) -> tuple[float, ...]:
    return tuple(float(p) for p in rng.uniform(0, 2 * np.pi, 6))


def _sample_dentition(age: float, rng: np.random.Generator) -> Dentition:
    """More teeth lost with age; molars are filled most often."""
    if rng.uniform() < 0.03 + 0.25 * (age > 70):
        return Dentition((0,) * 16, (0,) * 16)
    lost = float(np.clip((age - 25) / 130, 0.02, 0.4))
    fillings = rng.uniform() < 0.45
    jaws: list[tuple[int, ...]] = []
    for _ in range(2):
        molar = np.abs(np.arange(16) - 7.5) > 3
        state = np.where(rng.uniform(size=16) < lost * (0.5 + molar), 0, 1)
        metal = rng.uniform(size=16) < np.where(molar, 0.3, 0.04)
        jaws.append(tuple(int(s) for s in np.where((state == 1) & metal & fillings, 2, state)))
    return Dentition(jaws[0], jaws[1])


def _sample_texture(rng: np.random.Generator, along: float = 9.0) -> NDArray[np.float32]:
    """Noise with structures of about 1 mm, drawn out along the load (h), that wraps around."""
    noise = rng.standard_normal((64, 64, 64), dtype=np.float32)
    spectrum = np.fft.rfftn(noise)
    h, a, u = np.meshgrid(
        np.fft.fftfreq(64), np.fft.fftfreq(64), np.fft.rfftfreq(64), indexing="ij"
    )
    spectrum *= np.exp(-((h * along) ** 2) - (np.hypot(a, u) * 4.2) ** 2)
    texture = np.fft.irfftn(spectrum, s=noise.shape, axes=(0, 1, 2))
    return (texture / texture.std()).astype(np.float32)

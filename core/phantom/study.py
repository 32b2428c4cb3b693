"""One synthetic study: a person, fractures if any, a scanner, and the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.constants import HU_AIR, MASK_LABELS, VERTEBRAE
from core.phantom.anatomy import Anatomy, sample_anatomy
from core.phantom.findings import paint_findings
from core.phantom.fractures import Fracture
from core.phantom.grid import Grid
from core.phantom.implants import paint_implant
from core.phantom.neck_tissue import MUSCLES
from core.phantom.painting import PaintedVolume, paint_disc, paint_vertebra
from core.phantom.posture import dislocate
from core.phantom.prevalence import sample_fractures
from core.phantom.protocol import free_grid, plain_grid, varied_grid
from core.phantom.quirks import CLEAN, Quirks, adapt_grid, plan_quirks
from core.phantom.recipe import CLASSIC, DEFAULT_RECIPE, Range, Recipe, recipe_named
from core.phantom.scanner import Scanner, acquire, sample_scanner
from core.phantom.scene import PLAIN, Scene, sample_scene
from core.phantom.sizes import LEVELS
from core.phantom.soft_tissue import paint_soft_tissue
from core.phantom.tilting import lean, upright
from core.phantom.truth import boxes_by_vertebra, boxes_of
from core.phantom.visibility import Shown, Sight, Visibility, shown_slices, stratum_of

LABELS = MASK_LABELS | {"T1": 8, "T2": 9, "T3": 10}


@dataclass(frozen=True, slots=True, eq=False)
class PhantomStudy:
    """A study and its truth.

    Attributes:
        hu: int16 HU (z, y, x), slice 0 the most cranial.
        mask: uint8 (z, y, x); 1..7 = C1..C7, 8..10 = T1..T3.
        clefts: uint8 (z, y, x), label of the vertebra in voxels that a fracture line crosses.
        grid: Voxel grid in LPS mm.
        fractures: Fractures.
        scanner: Scanner settings.
        quirks: Deliberate irregularities.
        visibility: How well each fracture shows, in their order; empty where it was not measured.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    clefts: NDArray[np.uint8]
    grid: Grid
    fractures: tuple[Fracture, ...]
    scanner: Scanner
    quirks: Quirks = CLEAN
    visibility: tuple[Visibility, ...] = ()

    @property
    def labels(self) -> tuple[int, ...]:
        """y_j for C1..C7, each 0 or 1."""
        broken = {f.vertebra for f in self.fractures}
        return tuple(int(name in broken) for name in VERTEBRAE)

    def boxes(self) -> list[tuple[int, tuple[int, int, int, int]]]:
        """(slice index, xyxy) around the fracture lines, at most one per slice, as in RSNA.

        Where visibility was measured, two fractured vertebrae on a slice are two boxes.
        """
        if self.visibility:
            return boxes_by_vertebra(self.clefts, self.grid.pixel_mm)
        return boxes_of(self.clefts, self.grid.pixel_mm)


@dataclass(frozen=True, slots=True, eq=False)
class StudyPlan:
    """Everything about a study that is drawn before anything is painted.

    Attributes:
        anatomy: The person.
        fractures: Fractures; with a recipe that has them by visibility, some may not show.
        grid: Voxel grid.
        scanner: Scanner settings.
        scene: Surroundings of the vertebrae.
        quirks: Deliberate irregularities.
    """

    anatomy: Anatomy
    fractures: tuple[Fracture, ...]
    grid: Grid
    scanner: Scanner
    scene: Scene
    quirks: Quirks


def make_study(
    seed: int,
    index: int,
    *,
    matrix: int = 256,
    rsna_like: bool = False,
    recipe: str = DEFAULT_RECIPE,
) -> PhantomStudy:
    """Make study `index` of cohort `seed`; the same arguments give the same voxels.

    Args:
        seed: Cohort seed.
        index: Study within the cohort, >= 0.
        matrix: Rows and columns of a slice.
        rsna_like: Draw spacing and coverage as widely as the real set's, and include its quirks.
        recipe: Name of the distributions, see `recipe.RECIPES`.

    Raises:
        ConfigError: There is no such recipe.
    """
    rng = _rng(seed, index)
    plan = _drawn(rng, seed, index, matrix, rsna_like=rsna_like, mix=recipe_named(recipe))
    study = render_study(
        plan.anatomy, plan.fractures, rng, matrix=matrix, grid=plan.grid, scanner=plan.scanner,
        scene=plan.scene, recipe=recipe_named(recipe),
    )  # fmt: skip
    return replace(study, quirks=plan.quirks)


def plan_study(
    seed: int,
    index: int,
    *,
    matrix: int = 256,
    rsna_like: bool = False,
    recipe: str = DEFAULT_RECIPE,
) -> StudyPlan:
    """Draw what `make_study` paints, without painting it: milliseconds instead of seconds.

    Args:
        seed: Cohort seed.
        index: Study within the cohort, >= 0.
        matrix: Rows and columns of a slice.
        rsna_like: As in `make_study`.
        recipe: Name of the distributions.

    Raises:
        ConfigError: There is no such recipe.
    """
    mix = recipe_named(recipe)
    return _drawn(_rng(seed, index), seed, index, matrix, rsna_like=rsna_like, mix=mix)


def _rng(seed: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, index]))


def _drawn(
    rng: np.random.Generator, seed: int, index: int, matrix: int, *, rsna_like: bool, mix: Recipe
) -> StudyPlan:
    """Draw the parts of a study; the order of the draws determines its voxels."""
    anatomy = _person(rng, mix)
    fractures = sample_fractures(rng, anatomy, mix.fractures)
    for fracture in fractures:
        if fracture.slip_mm:
            anatomy = replace(
                anatomy,
                poses=dislocate(anatomy.poses, fracture.vertebra, fracture.slip_mm, rng),
            )
    scene = sample_scene(rng, mix.surroundings, tuple(MUSCLES))
    scanner = sample_scanner(rng, mix.scanner) if mix.scanner else None
    quirks = CLEAN
    if rsna_like:
        quirks = plan_quirks(seed, index)
        grid = adapt_grid(varied_grid(anatomy, rng, matrix), quirks)
    elif mix.protocol is not None:
        shown = tuple(f.vertebra for f in fractures)
        grid = free_grid(anatomy, rng, matrix, mix.protocol, shown)
    else:
        grid = plain_grid(anatomy, rng, matrix)
    return StudyPlan(anatomy, fractures, grid, scanner or sample_scanner(rng), scene, quirks)


def _person(rng: np.random.Generator, mix: Recipe) -> Anatomy:
    """Draw a person, whose shoulders and girth follow the surroundings if those are varied."""
    anatomy = sample_anatomy(rng, mix.bone)
    around = mix.surroundings
    if around is None:
        return anatomy
    return replace(anatomy, girth=around.girth.draw(rng), shoulder_mm=around.shoulder_mm.draw(rng))


def render_study(
    anatomy: Anatomy,
    fractures: tuple[Fracture, ...],
    rng: np.random.Generator,
    *,
    matrix: int = 256,
    grid: Grid | None = None,
    scanner: Scanner | None = None,
    scene: Scene = PLAIN,
    recipe: Recipe = CLASSIC,
) -> PhantomStudy:
    """Scan a given person with given fractures.

    Args:
        anatomy: The person.
        fractures: At most one per vertebra.
        rng: Random generator.
        matrix: Rows and columns of a slice, if no grid is given.
        grid: Voxels; drawn by default.
        scanner: Kernel, metal and motion; drawn by default.
        scene: Surroundings of the vertebrae; the classic ones by default.
        recipe: If it has fractures by visibility, they get the contrast that they ask for, are
            marked only where they show and left out where they do not, and are measured.
    """
    grid = grid or plain_grid(anatomy, rng, matrix)
    scanner = scanner or sample_scanner(rng)
    square = replace(grid, columns=0)
    measured = recipe.fractures is not None
    sight = Sight(upright(square), scanner.kernel) if measured else None
    volume, shown = _painted(upright(square), anatomy, fractures, scene, sight, recipe, rng)
    if square.tilt_deg:
        volume = lean(volume, square)
    visibility = _visibility(volume, fractures, shown) if measured else ()
    if measured:
        seen = {one.vertebra for one in visibility}
        fractures = tuple(f for f in fractures if f.vertebra in seen)
    image = acquire(volume.hu, volume.grid, anatomy, scanner, rng)
    more = {-1: (0, max(grid.columns - grid.matrix, 0))}
    return PhantomStudy(
        hu=np.pad(image, more, constant_values=HU_AIR),
        mask=np.pad(volume.mask, more),
        clefts=np.pad(volume.clefts, more),
        grid=grid,
        fractures=fractures,
        scanner=scanner,
        visibility=visibility,
    )


def _visibility(
    volume: PaintedVolume, fractures: tuple[Fracture, ...], shown: dict[str, Shown]
) -> tuple[Visibility, ...]:
    """How well each fracture shows, without those that no slice shows; their marks are removed."""
    found: list[Visibility] = []
    for fracture in fractures:
        marks = volume.clefts == LABELS[fracture.vertebra]
        slices = shown_slices(np.nonzero(marks)[0]).size
        if not slices:
            volume.clefts[marks] = 0
            continue
        cnr, gap_px = shown[fracture.vertebra].cnr, fracture.gap_mm / volume.grid.pixel_mm
        stratum = stratum_of(fracture.displacement_mm, cnr, gap_px)
        found.append(Visibility(fracture.vertebra, stratum, cnr, gap_px, slices))
    return tuple(found)


def _painted(
    grid: Grid,
    anatomy: Anatomy,
    fractures: tuple[Fracture, ...],
    scene: Scene,
    sight: Sight | None,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[PaintedVolume, dict[str, Shown]]:
    """Paint a person; also return what shows of each fracture, by vertebra."""
    broken = {f.vertebra: f for f in fractures}
    swellings = [
        (float(anatomy.poses[f.vertebra].origin[2]), f.swelling_mm)
        for f in fractures
        if f.swelling_mm
    ]
    # Swelling without a fracture: a haematoma of another cause, a confounder.
    mix = recipe.fractures
    if rng.uniform() < (mix.false_swelling if mix else 0.06):
        deep = mix.swelling_mm if mix else Range(1, 4)
        swellings.append((float(rng.uniform(-30, 30)), deep.draw(rng)))
    hu = paint_soft_tissue(grid, anatomy, swellings, rng, scene)
    empty = np.zeros(hu.shape, dtype=np.uint8)
    volume = PaintedVolume(grid, hu, empty, empty.copy())
    if recipe.bone is not None:
        paint_findings(volume.hu, grid, anatomy, recipe.bone, rng)
    for upper, lower in pairwise(LEVELS[1:]):
        paint_disc(volume, upper, lower, anatomy)
    shown: dict[str, Shown] = {}
    for name in reversed(LEVELS):
        one = paint_vertebra(volume, name, LABELS[name], anatomy, broken.get(name), sight)
        if one is not None:
            shown[name] = one
    if scene.spinal_metal:
        whole = [name for name in VERTEBRAE if name not in broken]
        paint_implant(volume.hu, grid, anatomy, whole, rng)
    return volume, shown

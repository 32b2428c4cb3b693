"""Draw the pictures of `docs/data.md`: healthy spines, each kind of fracture, scanner artefacts.

Run with `python -m scripts.phantom_gallery`; it writes docs/images/phantom/*.png.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.phantom.anatomy import Anatomy, sample_anatomy
from core.phantom.fracture_kinds import make_fracture
from core.phantom.fractures import Fracture
from core.phantom.grid import Grid
from core.phantom.kernels import Kernel
from core.phantom.protocol import plain_grid
from core.phantom.recipe import RECIPES
from core.phantom.scanner import Scanner
from core.phantom.study import PhantomStudy, make_study, render_study

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "phantom"
TILE = 232
BONE = (400.0, 1800.0)
SOFT = (40.0, 400.0)
CALM = Scanner(Kernel("SYNTHETIC50", 0.42, 0.3, 22.0))

Picture = NDArray[np.uint8]

UPPER = (
    ("C1", "jefferson", 3), ("C1", "posterior_arch", 4), ("C2", "odontoid_1", 5),
    ("C2", "odontoid_2", 6), ("C2", "odontoid_3", 7), ("C2", "hangman", 8),
)  # fmt: skip
BODY = (
    ("C5", "compression", 9), ("C5", "burst", 10), ("C5", "teardrop", 11), ("C2", "teardrop", 16),
)  # fmt: skip
POSTERIOR = (
    ("C6", "lamina", 12), ("C6", "facet", 13), ("C7", "transverse_process", 14),
    ("C7", "spinous_process", 15),
)  # fmt: skip
"""(vertebra, kind, seed)."""


def window(plane: NDArray[Any], setting: tuple[float, float] = BONE) -> Picture:
    """HU to grey: uint8 of the plane's shape."""
    center, width = setting
    return np.clip((plane - (center - width / 2)) * (255 / width), 0, 255).astype(np.uint8)


def titled(picture: Picture, text: str, size: tuple[int, int] = (TILE, TILE)) -> Picture:
    """The picture at `size` (width, height) with a title in its upper left corner."""
    tile = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    cv2.putText(tile, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, 255, 1, cv2.LINE_AA)
    return tile.astype(np.uint8)


def planes(study: PhantomStudy, at: tuple[int, int, int], half_mm: float) -> list[Picture]:
    """Axial, sagittal and coronal cuts through voxel `at` (z, y, x), squares of 2 * half_mm."""
    grid = study.grid
    steps = (grid.slice_mm, grid.pixel_mm, grid.pixel_mm)
    spans: list[slice] = []
    for k, step in enumerate(steps):
        half, length = round(half_mm / step), study.hu.shape[k]
        start = int(np.clip(at[k] - half, 0, max(length - 2 * half, 0)))
        spans.append(slice(start, min(start + 2 * half, length)))
    z, y, x = spans
    cuts = (study.hu[at[0], y, x], study.hu[z, y, at[2]], study.hu[z, at[1], x])
    return [window(cut) for cut in cuts]


def through_lines(clefts: NDArray[np.uint8]) -> tuple[int, int, int]:
    """The slice that fracture lines cross most, and a row and a column across them, (z, y, x).

    Neither is the middle of the lines: a cut along a line shows nothing of it.
    """
    z = int(np.argmax(np.count_nonzero(clefts, axis=(1, 2))))
    _, ys, xs = np.nonzero(clefts[max(z - 4, 0) : z + 5])
    return z, int(np.percentile(ys, 40)), int(np.percentile(xs, 40))


def voxel(grid: Grid, point: NDArray[np.float64]) -> tuple[int, int, int]:
    """Index (z, y, x) of the voxel nearest to a point in LPS mm."""
    axes = (grid.z(), grid.y(), grid.x())
    z, y, x = (int(np.argmin(np.abs(v - p))) for v, p in zip(axes, point[::-1], strict=True))
    return z, y, x


def person(seed: int, *, old: bool = False) -> Anatomy:
    """Return the first person from `seed` on who is young and healthy, or old with worn discs."""
    while True:
        anatomy = sample_anatomy(np.random.default_rng(seed))
        worn = max(anatomy.disc_wear.values())
        if (worn > 0.8 and anatomy.age_years > 65) if old else (worn < 0.25):
            return anatomy
        seed += 1000


def fine_grid(anatomy: Anatomy, level: str, matrix: int = 280, field_mm: float = 140) -> Grid:
    """Voxels of 0.5 x 0.5 x 1 mm around one vertebra."""
    x, y, z = (float(v) for v in anatomy.poses[level].origin)
    corner = (x - field_mm / 2, y - field_mm * 0.42, z + 46)
    return Grid(92, matrix, field_mm / matrix, 1.0, corner)


def healthy(out: Path) -> None:
    """Whole spines, young and old, and the levels one by one."""
    rows: list[Picture] = []
    for title, anatomy in (("young", person(1)), ("old", person(2, old=True))):
        grid = replace(plain_grid(anatomy, np.random.default_rng(0), 384), slice_mm=1.0)
        grid = replace(grid, n_slices=200, profile_mm=None)
        study = render_study(anatomy, (), np.random.default_rng(1), grid=grid, scanner=CALM)
        height = round(3 * TILE * 200 / (384 * grid.pixel_mm) / 2)
        _, y, x = voxel(grid, anatomy.poses["C4"].origin)
        sagittal, coronal = window(study.hu[:, :, x]), window(study.hu[:, y, :])
        size = (3 * TILE // 2, height)
        pair = (titled(sagittal, f"{title}, sagittal", size), titled(coronal, "coronal", size))
        rows.append(np.vstack(pair))
        axial: list[Picture] = []
        for level in ("C1", "C2", "C3", "C4", "C5", "C6", "C7", "T1"):
            z, yy, xx = voxel(grid, anatomy.poses[level].origin)
            half = round(48 / grid.pixel_mm)
            cut = study.hu[z, max(yy - half, 0) : yy + half, xx - half : xx + half]
            axial.append(titled(window(cut), f"{title} {level}"))
        save(out / f"axial_{title}.png", np.vstack([np.hstack(axial[:4]), np.hstack(axial[4:])]))
    tallest = max(len(row) for row in rows)
    save(out / "healthy.png", np.hstack([_to_height(row, tallest) for row in rows]))


def fractures(out: Path, name: str, chosen: Sequence[tuple[str, str, int]]) -> None:
    """One row per kind: axial, sagittal and coronal through the fracture line."""
    rows: list[Picture] = []
    for vertebra, kind, seed in chosen:
        anatomy = person(seed)
        fracture = make_fracture(
            vertebra, kind, np.random.default_rng(seed), displaced=True, scale=anatomy.scale,
            size=anatomy.shapes[vertebra].size,
        )  # fmt: skip
        study = fractured(anatomy, fracture)
        views = planes(study, through_lines(study.clefts), 34)
        titles = (f"{vertebra} {kind.replace('_', ' ')}", "sagittal", "coronal")
        rows.append(np.hstack([titled(v, t) for v, t in zip(views, titles, strict=True)]))
    half = (len(rows) + 1) // 2
    columns = [np.vstack(part) for part in (rows[:half], rows[half:])]
    save(out / f"{name}.png", np.hstack([_to_height(c, len(columns[0])) for c in columns]))


def fractured(anatomy: Anatomy, fracture: Fracture) -> PhantomStudy:
    """A high-resolution scan without artefacts around one fracture."""
    grid = fine_grid(anatomy, fracture.vertebra)
    rng = np.random.default_rng(1)
    return render_study(anatomy, (fracture,), rng, grid=grid, scanner=CALM)


def scanners(out: Path) -> None:
    """Kernels, metal, shoulders and motion, in the window that shows them."""
    anatomy = person(20)
    while all(2 not in jaw for jaw in (anatomy.dentition.upper, anatomy.dentition.lower)):
        anatomy = person(int(anatomy.age_years * 1e6) % 100_000)
    grid = plain_grid(anatomy, np.random.default_rng(3), 256)
    smooth = Scanner(Kernel("smooth", 0.62, 0.0, 18.0))
    sharp = Scanner(Kernel("bone", 0.3, 0.85, 36.0), motion=True)
    soft, hard = (
        render_study(anatomy, (), np.random.default_rng(5), grid=grid, scanner=s)
        for s in (smooth, sharp)
    )
    z = {n: voxel(grid, anatomy.poses[n].origin)[0] for n in ("C5", "T1")}
    metal = int(np.argmax(np.count_nonzero(soft.hu > 2900, axis=(1, 2))))
    low = min(z["T1"] + 4, grid.n_slices - 1)
    size = (3 * TILE // 2, 3 * TILE // 2)
    tiles = [
        titled(window(plane, SOFT), text, size)
        for plane, text in (
            (soft.hu[z["C5"]], "smooth kernel, soft tissue window"),
            (hard.hu[z["C5"]], "bone kernel"),
            (soft.hu[metal], "fillings"),
            (soft.hu[low], "between the shoulders"),
        )
    ]
    save(out / "scanner.png", np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]))


def recipes(out: Path) -> None:
    """Studies of the classic recipe beside studies of the varied one, same planes and windows."""
    columns: list[Picture] = []
    for recipe in RECIPES:
        rows: list[Picture] = []
        for index in (1, 4, 5, 8):
            study = make_study(41, index, recipe=recipe)
            size = (TILE, TILE)
            at = [round(share * (study.grid.n_slices - 1)) for share in (0.3, 0.7)]
            axial = [titled(window(study.hu[z], SOFT), f"{recipe}, soft tissue", size) for z in at]
            rows.append(np.hstack([*axial, _sagittal(study)]))
        columns.append(np.vstack(rows))
    save(out / "recipes.png", np.hstack(columns))


def _sagittal(study: PhantomStudy) -> Picture:
    """The middle sagittal plane of the spine, black where the scan is shorter than the tile."""
    grid = study.grid
    marked = np.nonzero(study.mask)[2]
    x = int(np.median(marked)) if marked.size else grid.matrix // 2
    tall = TILE * grid.n_slices * grid.slice_mm / (grid.matrix * grid.pixel_mm)
    tile = titled(window(study.hu[:, :, x]), "sagittal", (TILE, min(max(round(tall), 20), TILE)))
    return _to_height(tile, TILE)


def save(path: Path, picture: Picture) -> None:
    """Write a grey PNG with maximum compression."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise SystemExit(f"Cannot write {path}; check the folder.")
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


def _to_height(picture: Picture, height: int) -> Picture:
    return np.pad(picture, {0: (0, height - len(picture))})


def main() -> None:
    """Draw everything below the folder given, or below docs."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    healthy(out)
    for name, chosen in (("upper", UPPER), ("body", BODY), ("posterior", POSTERIOR)):
        fractures(out, name, chosen)
    scanners(out)
    recipes(out)


if __name__ == "__main__":
    main()

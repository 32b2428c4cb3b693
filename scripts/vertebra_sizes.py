"""Compare the generator's vertebrae with those of a real segmentation, as a table.

Run with `python -m scripts.vertebra_sizes MASK.nii.gz`; the mask has 1 to 7 for C1 to C7 in any
orientation. The phantom's columns are means over people, with their standard deviations.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.phantom.anatomy import Anatomy, sample_anatomy
from core.phantom.grid import Grid
from core.phantom.painting import PaintedVolume, paint_vertebra
from core.phantom.recipe import RECIPES
from core.phantom.study import LABELS

TRIM = 0.2
"""Percentile cut off at both ends of an extent: stray voxels are no part of a size."""

FIGURES = ("width", "depth", "height", "volume", "to the next")
"""mm to a side, to the back and along the body's axis of the scan, ml, and mm between centres."""


def measure(mask: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Sizes of C1..C7, float64 (7, 5) in the order of `FIGURES`; NaN where a label is missing.

    Args:
        mask: Labels, axes (left, back, up) in either direction.
        spacing_mm: Voxel edges in the same order.
    """
    found = np.full((len(VERTEBRAE), len(FIGURES)), np.nan)
    centers: list[NDArray[np.float64] | None] = []
    for k in range(len(VERTEBRAE)):
        at = np.argwhere(mask == k + 1) * np.asarray(spacing_mm, dtype=np.float64)
        centers.append(at.mean(axis=0) if len(at) else None)
        if len(at):
            low, high = np.percentile(at, (TRIM, 100 - TRIM), axis=0)
            found[k, :3] = high - low
            found[k, 3] = len(at) * np.prod(spacing_mm) / 1000
    for k, (center, below) in enumerate(pairwise(centers)):
        if center is not None and below is not None:
            found[k, 4] = np.linalg.norm(below - center)
    return found


def read_mask(path: Path) -> NDArray[np.float64]:
    """Sizes of the vertebrae in a NIfTI mask, by its own axes."""
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.uint8)
    left, back, up = (float(v) for v in image.header.get_zooms()[:3])
    return measure(labels, (left, back, up))


def person_mask(anatomy: Anatomy, step_mm: float = 1.0) -> NDArray[np.uint8]:
    """Labels of one person's vertebrae without anything else, axes (left, back, up)."""
    top = float(anatomy.poses["C1"].origin[2]) + 32
    n = int((top - float(anatomy.poses["T1"].origin[2]) + 40) / step_mm)
    rows = int(150 / step_mm)
    grid = Grid(n, rows, step_mm, step_mm, (-75.0, -75.0, top))
    empty = np.zeros((n, rows, rows), dtype=np.uint8)
    volume = PaintedVolume(grid, empty.astype(np.float32), empty, empty.copy())
    for name in reversed(VERTEBRAE):
        paint_vertebra(volume, name, LABELS[name], anatomy, None)
    return np.ascontiguousarray(volume.mask.transpose(2, 1, 0))


def people(recipe: str, count: int, seed: int) -> NDArray[np.float64]:
    """Sizes of so many people, float64 (count, 7, 5)."""
    mix = RECIPES[recipe].bone
    drawn = (sample_anatomy(np.random.default_rng([seed, k]), mix) for k in range(count))
    return np.stack([measure(person_mask(one), (1.0, 1.0, 1.0)) for one in drawn])


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mask", type=Path)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    real = read_mask(options.mask)
    made = {name: people(name, options.people, options.seed) for name in RECIPES}
    print("| vertebra | figure | real mask |" + "".join(f" {name} |" for name in made))
    print("|---|---|---|" + "---|" * len(made))
    for k, vertebra in enumerate(VERTEBRAE):
        for j, figure in enumerate(FIGURES):
            if np.isnan(real[k, j]):
                continue
            row = f"| {vertebra} | {figure} | {real[k, j]:.1f} |"
            for sizes in made.values():
                row += f" {sizes[:, k, j].mean():.1f} ± {sizes[:, k, j].std():.1f} |"
            print(row)


if __name__ == "__main__":
    main()

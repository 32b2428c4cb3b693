"""Can a small network tell synthetic slices from real ones? Its AUC, for each recipe.

`python -m scripts.real_or_synthetic FOLDER...` reads real series, trains a network on half of
their slices and on as many synthetic ones, and prints the AUC on the other half. 1.0 means that the
two share nothing; the figure is to fall. All slices are brought to one pixel size and cut to
patches of one size, so that geometry alone gives nothing away. A second figure leaves the noise
out: all slices are blurred first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from core.dicom.series import read_series
from core.phantom.recipe import RECIPES
from core.phantom.study import make_study

PIXEL_MM: Final = 1.33
"""That of the coarsest real series."""
SIDE: Final = 96
BLOCK: Final = 8
"""Neighbouring slices of a real series that go to the same half."""
BLUR_MM: Final = 2.0
BATCH, PATCHES = 32, 4

Slices = list[NDArray[np.float32]]


def prepare(plane: NDArray[np.int16], pixel_mm: float) -> NDArray[np.float32]:
    """A slice in HU at `PIXEL_MM`, float32 from -1 to 1, at least `SIDE` wide and high."""
    factor = pixel_mm / PIXEL_MM
    size = tuple(max(round(n * factor), SIDE) for n in plane.shape[::-1])
    small = cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.clip((small - 200) / 1000, -1, 1).astype(np.float32)


def real_slices(folders: Sequence[Path]) -> tuple[Slices, Slices]:
    """Slices to train on and slices to measure on, in alternating blocks of each series."""
    halves: tuple[Slices, Slices] = ([], [])
    for folder in folders:
        volume = read_series(folder)
        for i, plane in enumerate(volume.hu):
            halves[i // BLOCK % 2].append(prepare(plane, volume.spacing_mm[1]))
    return halves


def made_slices(recipe: str, count: int, seed: int) -> Slices:
    """So many slices of synthetic studies, four of each."""
    rng, found = np.random.default_rng(seed), []
    for index in range(-(-count // 4)):
        study = make_study(seed, index, recipe=recipe)
        for i in rng.choice(study.grid.n_slices, 4, replace=False):
            found.append(prepare(study.hu[i], study.grid.pixel_mm))
    return found[:count]


def patches(slices: Slices, rng: np.random.Generator, *, blurred: bool) -> torch.Tensor:
    """One random patch of each slice, with some bone if possible, float32 (n, 1, SIDE, SIDE)."""
    cut: Slices = []
    for plane in slices:
        patch = _corner(plane, rng)
        for _ in range(8):
            if (patch > 0.1).mean() > 0.01:
                break
            patch = _corner(plane, rng)
        patch = np.ascontiguousarray(patch[:, :: int(rng.choice((-1, 1)))])
        if blurred:
            patch = cv2.GaussianBlur(patch, (0, 0), BLUR_MM / PIXEL_MM).astype(np.float32)
        cut.append(patch)
    return torch.from_numpy(np.stack(cut)[:, None])


def _corner(plane: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = (int(rng.integers(0, n - SIDE + 1)) for n in plane.shape)
    return plane[y : y + SIDE, x : x + SIDE]


def network() -> nn.Module:
    """Four convolutions and a mean."""
    layers: list[nn.Module] = []
    for before, after in ((1, 16), (16, 32), (32, 48), (48, 64)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))


def trained_auc(
    real: tuple[Slices, Slices], made: tuple[Slices, Slices], steps: int, *, blurred: bool
) -> float:
    """Train on the first halves; AUC on the second, mean logit of `PATCHES` patches a slice."""
    torch.manual_seed(0)
    rng, model = np.random.default_rng(0), network()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(steps):
        chosen = [
            [half[int(k)] for k in rng.integers(0, len(half), BATCH // 2)]
            for half in (made[0], real[0])
        ]
        images = patches([*chosen[0], *chosen[1]], rng, blurred=blurred)
        truth = torch.tensor([0.0] * (BATCH // 2) + [1.0] * (BATCH // 2))
        loss = nn.functional.binary_cross_entropy_with_logits(model(images)[:, 0], truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    held = [*made[1], *real[1]]
    with torch.inference_mode():
        scores = [model(patches(held, rng, blurred=blurred))[:, 0] for _ in range(PATCHES)]
    truth = [0] * len(made[1]) + [1] * len(real[1])
    return float(roc_auc_score(truth, torch.stack(scores).mean(0).numpy()))


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="Folders of real series.")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=97)
    options = parser.parse_args()
    real = real_slices(options.folders)
    figures: dict[str, dict[str, float]] = {}
    for recipe in RECIPES:
        made = (
            made_slices(recipe, len(real[0]), options.seed),
            made_slices(recipe, len(real[1]), options.seed + 1),
        )
        figures[recipe] = {
            name: round(trained_auc(real, made, options.steps, blurred=blurred), 4)
            for name, blurred in (("auc", False), ("auc_blurred", True))
        }
        print(
            f"{recipe}: AUC {figures[recipe]['auc']:.3f}, "
            f"without noise {figures[recipe]['auc_blurred']:.3f}"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

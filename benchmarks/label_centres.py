"""How far the 3D view's labels lie from the vertebrae: bone divided by presence, against masks.

There is no program to measure against: the claim is a distance. On synthetic studies the labels are
made from the presence that the masks give, so that no network takes part. Stated are the distance
of C1 to C7's centres from those of the true masks, mean and largest, in mm, and the mean overlap
(Dice). The ratio is the limit over the mean distance.
"""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from benchmarks.timing import figure, print_figures
from core.dataset.masks import presence_from_mask
from core.phantom.study import PhantomStudy, make_study
from core.types import CTVolume
from core.visualization.labels import labels_from_presence

LIMIT_MM: Final = 10.0
"""About half the height of a vertebra with its disc: the label still lies on its own level."""
SEED: Final = 5


def volume_of(study: PhantomStudy) -> CTVolume:
    """The study as a series that was read."""
    grid = study.grid
    affine = grid.affine()
    return CTVolume(
        hu=study.hu, spacing_mm=(grid.slice_mm, grid.pixel_mm, grid.pixel_mm), affine=affine,
        z_mm=affine[2, 3] - np.arange(grid.n_slices) * grid.slice_mm,
        instance_numbers=tuple(range(grid.n_slices)), source_files=(),
        study_uid="", series_uid="",
    )  # fmt: skip


def compare(study: PhantomStudy) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of the centres in mm and overlaps, each (k,), of C1..C7 that both have."""
    mask = np.where(study.mask <= 7, study.mask, 0)
    volume = volume_of(study)
    labels = labels_from_presence(volume, presence_from_mask(mask).astype(np.float32)).labels
    both = [j for j in range(1, 8) if (mask == j).any() and (labels == j).any()]
    apart = np.array(center_of_mass(labels > 0, labels, both))
    apart -= np.array(center_of_mass(mask > 0, mask, both))
    shared = [2 * ((labels == j) & (mask == j)).sum() for j in both]
    total = [(labels == j).sum() + (mask == j).sum() for j in both]
    return np.linalg.norm(apart * volume.spacing_mm, axis=1), np.array(shared) / np.array(total)


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--matrix", type=int, default=256)
    arguments = parser.parse_args()
    found = [
        compare(make_study(SEED, k, matrix=arguments.matrix)) for k in range(arguments.studies)
    ]
    for number, (apart, overlap) in enumerate(found, start=1):
        print(
            f"study {number}: centres {apart.mean():.1f} mm apart, {apart.max():.1f} mm at most; "
            f"Dice {overlap.mean():.3f}"
        )
    mean = float(np.concatenate([apart for apart, _ in found]).mean())
    print_figures(
        figure("centres of 3D labels from presence", f"{LIMIT_MM:g} mm", LIMIT_MM / mean, 1.0)
    )


if __name__ == "__main__":
    main()

"""Vertebra surfaces ready for the browser: ours against skimage's marching cubes + decimate_pro.

Both get the vertebra mask of a synthetic study at the given in-plane size and give, for C1..C7, at
most 9,000 triangles per vertebra in LPS mm with normals. The peer is the usual recipe: for each
label `skimage.measure.marching_cubes` on the Gaussian-smoothed mask of the whole volume, then
pyvista's `decimate_pro` and `compute_normals`. A second peer gets the mask already cropped to the
vertebra's box; it has no target. They take turns, and medians of processor time are compared. The
surfaces must agree in volume within 8 %.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Final, cast

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyvista as pv
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from benchmarks.timing import figure, medians, print_figures
from core.phantom.study import make_study
from core.types import CTVolume
from core.visualization.packing import pack_surfaces
from core.visualization.surfaces import SurfaceSettings, label_surfaces

TARGET: Final = 4.0
TRIANGLES: Final = 9000
LARGEST_DIFFERENCE: Final = 0.08
SETTINGS: Final = SurfaceSettings(triangles=TRIANGLES)


def by_skimage(
    labels: NDArray[np.uint8], affine: NDArray[np.float64], *, cropped: bool
) -> dict[int, pv.PolyData]:
    """C1..C7 by marching cubes and decimate_pro, LPS mm with normals.

    Args:
        labels: uint8 (z, y, x).
        affine: Voxel indices (z, y, x, 1) to LPS mm.
        cropped: Whether each label is cut out of the volume first.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = SETTINGS.smoothing_mm / spacing
    boxes = ndimage.find_objects(labels)
    found: dict[int, pv.PolyData] = {}
    for label in range(1, 8):
        box = boxes[label - 1] if label <= len(boxes) else None
        if box is None:
            continue
        part, start = labels, np.zeros(3)
        if cropped:
            part, start = labels[box], np.array([axis.start for axis in box], dtype=np.float64)
        mask = np.pad(part == label, 3).astype(np.float32)
        field = ndimage.gaussian_filter(mask, sigma)
        points, faces, _, _ = marching_cubes(field, 0.5)
        world = (points - 3 + start) @ affine[:3, :3].T + affine[:3, 3]
        mesh = pv.PolyData(world, np.insert(faces, 0, 3, axis=1).ravel())
        if mesh.n_cells > TRIANGLES:
            mesh = mesh.decimate_pro(1 - TRIANGLES / mesh.n_cells, preserve_topology=True)
        normals = mesh.compute_normals(auto_orient_normals=False, split_vertices=False)
        found[label] = cast(pv.PolyData, normals)
    return found


def check(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> float:
    """Largest difference of volume between ours and the peer's.

    Raises:
        SystemExit: It is too large to call the results the same.
    """
    ours = label_surfaces(labels, affine, SETTINGS)
    peer = by_skimage(labels, affine, cropped=True)
    worst = max(
        abs(abs(peer[k].volume) / ours[f"C{k}"].volume_mm3 - 1) for k in peer if f"C{k}" in ours
    )
    if worst > LARGEST_DIFFERENCE:
        raise SystemExit(f"The surfaces differ in volume by {worst:.1%}.")
    return worst


def main() -> None:
    """Measure and print the figures, a JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    study = make_study(7, 0, matrix=arguments.matrix)
    labels, affine = np.where(study.mask <= 7, study.mask, 0).astype(np.uint8), study.grid.affine()
    steps = (study.grid.slice_mm, study.grid.pixel_mm, study.grid.pixel_mm)
    volume = CTVolume(
        hu=study.hu, spacing_mm=steps, affine=affine, z_mm=np.zeros(len(labels)),
        instance_numbers=(), source_files=(), study_uid="", series_uid="",
    )  # fmt: skip
    worst = check(labels, affine)

    def ours() -> bytes:
        found = label_surfaces(labels, affine, SETTINGS)
        return pack_surfaces((("vertebra", s) for s in found.values()), volume, "mask")

    own, whole, cropped = medians(
        ours,
        lambda: by_skimage(labels, affine, cropped=False),
        lambda: by_skimage(labels, affine, cropped=True),
        repeats=arguments.repeats,
        clock=time.process_time,
    )
    print(
        f"{labels.shape} voxels: ours {own:.2f} s with packing, whole-volume peer {whole:.2f} s, "
        f"cropped peer {cropped:.2f} s; volumes within {worst:.1%}"
    )
    name = f"surfaces of C1..C7, {arguments.matrix} px, decimated"
    print_figures(
        figure(name, "skimage marching cubes + decimate_pro", whole / own, TARGET),
        figure(name, "the same, each mask cut to its box first", cropped / own),
    )


if __name__ == "__main__":
    main()

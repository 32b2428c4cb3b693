"""One patient stored in every plane and direction, oblique and with a tilted gantry as well.

The oracle is the place of each voxel in the patient, and nibabel's reordering of the axes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from core.dataset.true_boxes import boxes_on_volume
from core.dicom.series import read_series
from core.inference.boxes.boxes_csv import file_boxes
from core.inference.boxes.tracks import Detections
from core.types import CTVolume
from tests.core.dicom.dicom_factory import made_hu
from tests.core.dicom.turned_series import ORDERS, write_turned
from tests.robustness.verdicts import SEED, Family, Verdict, judged

KINDS: Final = ("upright", "oblique", "boxes", "gap", "one file")


def play(number: int, place: Path) -> Verdict:
    rng = np.random.default_rng([SEED, 11, number])
    order = ORDERS[number % len(ORDERS)]
    kind = KINDS[number // len(ORDERS) % len(KINDS)]
    act = {
        "upright": lambda: _judge_place(rng, order, place, 0.0),
        "oblique": lambda: _judge_place(rng, order, place, 15.0),
        "boxes": lambda: _judge_boxes(rng, order, place),
        "gap": lambda: _judge_gap(rng, order, place),
        "one file": lambda: _judge_one(rng, order, place),
    }[kind]
    return judged(f"{kind} {order[:, 0].tolist()} {order[:, 1].tolist()}", act)


def _patient(
    rng: np.random.Generator, degrees: float = 0.0, *, thick: int | None = None
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    shape = rng.integers(3, 9, 3)
    if thick is not None:
        shape[thick] = 1
    turn = Rotation.from_euler("zyx", rng.uniform(-degrees, degrees, 3), degrees=True)
    steps = rng.uniform(0.3, 3.0, 3)
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ (np.eye(3)[[2, 1, 0]].T * (-1, 1, 1) * steps)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    return made_hu(*shape, seed=int(rng.integers(1 << 30))), affine


def _judge_place(
    rng: np.random.Generator, order: NDArray[np.int64], place: Path, degrees: float
) -> Verdict:
    hu, affine = _patient(rng, degrees)
    write_turned(place / "s", hu, affine, order)
    return _compared(read_series(place / "s", jobs=1), hu, affine)


def _compared(volume: CTVolume, hu: NDArray[np.int16], affine: NDArray[np.float64]) -> Verdict:
    if volume.hu.shape != hu.shape or not np.array_equal(volume.hu, hu):
        return Verdict("silent", "voxels or their order")
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(hu.shape) - 1)
    off = np.abs(apply_affine(volume.affine, corners) - apply_affine(affine, corners)).max()
    if off > 1e-4:
        return Verdict("silent", f"a corner is off by {off:.5f} mm")
    step = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(volume.spacing_mm, step, atol=1e-6):
        return Verdict("silent", f"spacing {volume.spacing_mm} where {step} was written")
    return Verdict("read")


def _judge_boxes(rng: np.random.Generator, order: NDArray[np.int64], place: Path) -> Verdict:
    """A block of equal boxes goes to the files and comes back."""
    hu, affine = _patient(rng)
    write_turned(place / "s", hu, affine, order)
    volume = read_series(place / "s", jobs=1)
    low = np.array([rng.integers(0, edge) for edge in hu.shape])
    high = np.array([rng.integers(a, edge) + 1 for a, edge in zip(low, hu.shape, strict=True)])
    index = np.arange(low[0], high[0])
    xyxy = np.tile(np.array([low[2], low[1], high[2], high[1]], float), (len(index), 1))
    found = Detections("1", index, xyxy, np.ones(len(index)), index * 0, len(hu))
    files = file_boxes(found, volume)
    back = boxes_on_volume([(box.slice_number, box.xyxy) for box in files], volume)
    back = sorted(back, key=lambda box: box.slice_index)
    same = [box.slice_index for box in back] == index.tolist() and np.allclose(
        [box.xyxy for box in back], xyxy, atol=1e-6
    )
    inside = {n for n, _ in enumerate(volume.source_files, start=1)}
    if not same or not {box.slice_number for box in files} <= inside:
        return Verdict("silent", f"{xyxy[0]} on {index} came back as {back}")
    return Verdict("read")


def _judge_gap(rng: np.random.Generator, order: NDArray[np.int64], place: Path) -> Verdict:
    """Files are missing: noted for axial files, refused where axial slices are put together."""
    hu, affine = _patient(rng, thick=None)
    write_turned(place / "s", hu, affine, order)
    files = sorted((place / "s").iterdir(), key=lambda path: int(path.stem))
    if len(files) < 4:
        return Verdict("read")
    files[1].unlink()
    volume = read_series(place / "s", jobs=1)
    noted = any("uneven" in note for note in volume.notes)
    return Verdict("noted" if noted and volume.axes.keeps_slices else "silent", str(volume.notes))


def _judge_one(rng: np.random.Generator, order: NDArray[np.int64], place: Path) -> Verdict:
    """A single file of any plane."""
    thick = int(np.flatnonzero(order[:, 0] == 0)[0])
    hu, affine = _patient(rng, thick=thick)
    write_turned(place / "s", hu, affine, order)
    return _compared(read_series(place / "s", jobs=1), hu, affine)


FAMILY: Final = Family("orientation", len(ORDERS) * len(KINDS), 7, play)

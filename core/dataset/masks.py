"""Vertebra masks, NIfTI or DICOM, resampled to the grid of a CT volume by their affines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.dataset.mask_files import LabelFile, read_labels_file
from core.errors import DataRootError
from core.types import CTVolume

MIN_SHARE_IN_SCAN: Final = 0.25
"""Of the voxels labelled C1..C7; a scan may be cut closer than the mask, but not by more."""
MIN_SHARE_ON_BONE: Final = 0.2
"""Of the labelled voxels in the scan: cancellous bone of the old is darker than BONE_HU, and thick
slices average; yet of a mask laid elsewhere in a neck, far less than this lies on bone."""
BONE_HU: Final = 150

_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_ALIGNED_VOXELS: Final = 0.25
_CHUNK: Final = 1 << 20


class MaskReader(Protocol):
    """`load_vertebra_mask`, or what reads a mask as it does."""

    def __call__(self, path: Path, volume: CTVolume, *, on_bone: bool = True) -> NDArray[np.uint8]:
        """Read a mask on the grid of a volume."""
        ...


def load_vertebra_mask(path: Path, volume: CTVolume, *, on_bone: bool = True) -> NDArray[np.uint8]:
    """Read a NIfTI mask or a DICOM segmentation as labels on the grid of `volume`.

    Voxels are matched by position in the patient, whatever their order in the mask; voxels that the
    mask does not cover are 0.

    Args:
        path: NIfTI, compressed or not, whose form maps (i, j, k) to RAS mm; or DICOM.
        volume: Its affine maps (z, y, x) to LPS mm; slices may be unevenly spaced.
        on_bone: Whether labels must lie on bone; not checked where `volume` has no pixels, as
            `series_grid` makes it.

    Returns:
        uint8 (z, y, x), 0 background, 1..7 C1..C7, 8..19 T1..T12.

    Raises:
        DataRootError: The file is missing, damaged, has other labels or no position; its two forms
            disagree; or too few of its labels lie in the scan or on bone.
    """
    file = read_labels_file(path)
    _check_place(path, file, volume)
    affine = next(iter(file.forms.values()))
    to_voxel = np.linalg.inv(_RAS_TO_LPS @ affine) @ volume.affine
    steps = (_slice_steps(volume), *(np.arange(n, dtype=np.float64) for n in volume.hu.shape[1:]))
    axes = _aligned_axes(to_voxel, volume.hu.shape)
    if axes is not None:
        mask, covered = _pick_aligned(file.labels, to_voxel, steps, axes)
    else:
        mask, covered = _pick_nearest(file.labels, to_voxel, steps)
    if not covered:
        raise DataRootError(
            f"{path}: the mask lies outside the CT volume; check that both are of one study."
        )
    if on_bone:
        _check_bone(path, mask, volume)
    return mask


def presence_from_mask(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the vertebrae that each slice shows.

    Args:
        mask: uint8 (z, y, x), labels as in `load_vertebra_mask`.

    Returns:
        bool (n_slices, 7), v_ij: slice i holds a voxel of C(j+1).
    """
    counts = [np.bincount(labels.ravel(), minlength=N_VERTEBRAE + 1) for labels in mask]
    return np.array([c[1 : N_VERTEBRAE + 1] > 0 for c in counts]).reshape(-1, N_VERTEBRAE)


def _check_place(path: Path, file: LabelFile, volume: CTVolume) -> None:
    """Refuse a mask whose forms disagree or that lies elsewhere, with the figures of each form."""
    voxels = _labelled(file.labels)
    inside = {name: _count_inside(voxels, form, volume) for name, form in file.forms.items()}
    total = len(voxels)
    if len(inside) > 1:
        figures = ", ".join(f"{count:,} by its {name}" for name, count in inside.items())
        raise DataRootError(
            f"{path}: its sform and qform disagree: of {total:,} labelled voxels, {figures} lie in "
            "the scan; remove the wrong form, or export the mask again."
        )
    (count,) = inside.values()
    if total and count < MIN_SHARE_IN_SCAN * total:
        raise DataRootError(
            f"{path}: {count:,} of {total:,} labelled voxels ({count / total:.1%}) lie in the "
            f"scan, fewer than {MIN_SHARE_IN_SCAN:.0%}, so part of the mask lies outside the CT "
            "volume; check that both are of one study."
        )


def _check_bone(path: Path, mask: NDArray[np.uint8], volume: CTVolume) -> None:
    if not any(volume.hu.strides):  # One value for all voxels: a grid without pixels.
        return
    total = bone = 0
    for labels, hu in zip(mask, volume.hu, strict=True):
        values = hu[(labels > 0) & (labels <= N_VERTEBRAE)]
        total += values.size
        bone += int(np.count_nonzero(values >= BONE_HU))
    if bone < MIN_SHARE_ON_BONE * total:
        raise DataRootError(
            f"{path}: {bone:,} of {total:,} voxels labelled C1 to C7 ({bone / total:.1%}) lie on "
            f"bone ({BONE_HU} HU or more), fewer than {MIN_SHARE_ON_BONE:.0%}; check that mask and "
            "scan are of one series."
        )


def _labelled(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return (i, j, k) of the voxels of C1..C7, of any level where there are none; (n, 3)."""
    cervical = np.argwhere((labels > 0) & (labels <= N_VERTEBRAE))
    return cervical if len(cervical) else np.argwhere(labels)


def _count_inside(voxels: NDArray[np.intp], form: NDArray[np.float64], volume: CTVolume) -> int:
    """Count the voxels whose centre lies within a voxel of the volume."""
    to_volume = np.linalg.inv(volume.affine) @ _RAS_TO_LPS @ form
    sizes = np.array(volume.hu.shape)
    count = 0
    for start in range(0, len(voxels), _CHUNK):
        points = voxels[start : start + _CHUNK] @ to_volume[:3, :3].T + to_volume[:3, 3]
        count += int(((points >= -0.5) & (points <= sizes - 0.5)).all(axis=1).sum())
    return count


def _slice_steps(volume: CTVolume) -> NDArray[np.float64]:
    """Return the place of each slice in steps of the affine's mean slice distance, (n_slices,)."""
    travel = volume.z_mm[0] - volume.z_mm[-1]
    if volume.n_slices == 1 or travel == 0:
        return np.zeros(volume.n_slices)
    return (volume.z_mm[0] - volume.z_mm) / travel * (volume.n_slices - 1)


def _aligned_axes(
    to_voxel: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[int, int, int] | None:
    """Return, for each axis of the mask, the volume axis it runs along; None if oblique."""
    drift = np.abs(to_voxel[:3, :3]) * np.array(shape)
    axes = tuple(int(axis) for axis in drift.argmax(axis=1))
    if sorted(axes) != [0, 1, 2]:
        return None
    off_axis = drift.sum(axis=1) - drift.max(axis=1)
    return (axes[0], axes[1], axes[2]) if (off_axis < _ALIGNED_VOXELS).all() else None


def _pick_aligned(
    labels: NDArray[np.uint8],
    to_voxel: NDArray[np.float64],
    steps: tuple[NDArray[np.float64], ...],
    axes: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], bool]:
    """Permute, flip and crop; exact if the grids coincide, else nearest along each axis."""
    by_volume_axis = np.argsort(axes)
    turned = labels.transpose(by_volume_axis)
    # The drift across the axes is below the tolerance; evaluating it at the middle halves it.
    middle = np.array([axis_steps.mean() for axis_steps in steps])
    sources, targets = [], []
    for axis, mask_axis in enumerate(by_volume_axis):
        row = to_voxel[mask_axis]
        off_axis = row[:3] @ middle - row[axis] * middle[axis]
        index = np.rint(row[axis] * steps[axis] + row[3] + off_axis).astype(np.int64)
        inside = (index >= 0) & (index < turned.shape[axis])
        sources.append(index[inside])
        targets.append(np.flatnonzero(inside))
    mask = np.zeros([len(axis_steps) for axis_steps in steps], np.uint8)
    mask[_block(targets)] = turned[_block(sources)]
    return mask, all(len(target) for target in targets)


def _block(index: list[NDArray[np.int64]]) -> tuple[slice, ...] | tuple[NDArray[Any], ...]:
    """Return indices of a block: slices if each axis steps by one, which numpy copies faster."""
    runs = [_run(along) for along in index]
    slices = [run for run in runs if run is not None]
    return tuple(slices) if len(slices) == len(index) else np.ix_(*index)


def _run(index: NDArray[np.int64]) -> slice | None:
    """Return the slice of these indices; None if they do not step by 1 or -1."""
    if len(index) < 2:
        return slice(int(index[0]), int(index[0]) + 1) if len(index) else slice(0, 0)
    step = int(index[1] - index[0])
    if abs(step) != 1 or not (np.diff(index) == step).all():
        return None
    end = int(index[-1]) + step
    return slice(int(index[0]), end if end >= 0 else None, step)


def _pick_nearest(
    labels: NDArray[np.uint8],
    to_voxel: NDArray[np.float64],
    steps: tuple[NDArray[np.float64], ...],
) -> tuple[NDArray[np.uint8], bool]:
    """Sample the nearest mask voxel, slice by slice to bound the memory."""
    z_steps, y_steps, x_steps = steps
    mask = np.zeros((len(z_steps), len(y_steps), len(x_steps)), np.uint8)
    in_plane = (
        to_voxel[:3, 1, None, None] * y_steps[:, None] + to_voxel[:3, 2, None, None] * x_steps
    )
    size = np.array(labels.shape)[:, None, None]
    covered = False
    for z, step in enumerate(z_steps):
        start = (to_voxel[:3, 0] * step + to_voxel[:3, 3])[:, None, None]
        index = np.rint(in_plane + start).astype(np.int64)
        inside = ((index >= 0) & (index < size)).all(axis=0)
        i, j, k = index[:, inside]
        mask[z][inside] = labels[i, j, k]
        covered |= bool(inside.any())
    return mask, covered

"""Vertebra masks: NIfTI voxels resampled to the grid of a CT volume by their affines."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE
from core.errors import DataRootError
from core.types import CTVolume

MAX_LABEL: Final = 19
"""T12; 1..7 are C1..C7 and 8..19 T1..T12."""

MAX_MASK_BYTES: Final = 1 << 30
"""At one byte per voxel, RSNA's largest mask takes a quarter of it."""

_UNREADABLE: Final = (
    ImageFileError, HeaderDataError, OSError, EOFError, ValueError, AttributeError, KeyError,
    OverflowError, MemoryError, zlib.error,
)  # fmt: skip
"""Errors that a damaged file can raise in nibabel and below."""
_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_ALIGNED_VOXELS: Final = 0.25


def load_vertebra_mask(path: Path, volume: CTVolume) -> NDArray[np.uint8]:
    """Read a NIfTI mask as labels on the grid of `volume`.

    Voxels are matched by position in the patient, whatever their order in the mask; voxels that the
    mask does not cover are 0.

    Args:
        path: `.nii` or `.nii.gz`; its affine maps (i, j, k) to RAS mm.
        volume: Its affine maps (z, y, x) to LPS mm; slices may be unevenly spaced.

    Returns:
        uint8 (z, y, x), 0 background, 1..7 C1..C7, 8..19 T1..T12.

    Raises:
        DataRootError: The file is missing, damaged, has other labels, no position, or lies outside
            the volume.
    """
    labels, affine = _read_nifti(path)
    to_voxel = np.linalg.inv(_RAS_TO_LPS @ affine) @ volume.affine
    steps = (_slice_steps(volume), *(np.arange(n, dtype=np.float64) for n in volume.hu.shape[1:]))
    axes = _aligned_axes(to_voxel, volume.hu.shape)
    if axes is not None:
        mask, covered = _pick_aligned(labels, to_voxel, steps, axes)
    else:
        mask, covered = _pick_nearest(labels, to_voxel, steps)
    if not covered:
        raise DataRootError(
            f"{path}: the mask lies outside the CT volume; check that both are of one study."
        )
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


def _read_nifti(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    try:
        image: Any = nib.load(path)
        _check_size(path, image)
        values = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=np.float64)
        placed = _is_placed(image.header)
    except FileNotFoundError as error:
        raise DataRootError(f"{path} does not exist; put the mask there.") from error
    except _UNREADABLE as error:
        raise DataRootError(f"{path} cannot be read as NIfTI; copy it again.") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3 or 0 in values.shape:
        raise DataRootError(
            f"{path}: the mask has shape {values.shape}, not three axes; export it as one volume."
        )
    if not placed:
        raise DataRootError(
            f"{path}: its header gives neither qform nor sform, so its position is "
            "unknown; export it again with its orientation."
        )
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.linalg.det(affine) == 0:
        raise DataRootError(f"{path}: its affine is invalid; export the mask again.")
    return _as_labels(path, values), affine


def _check_size(path: Path, image: Any) -> None:  # noqa: ANN401 - as above
    """Refuse a mask by the size in its header, before anything of that size is allocated."""
    size = math.prod(image.shape) * image.get_data_dtype().itemsize
    if not 0 <= size <= MAX_MASK_BYTES:
        raise DataRootError(
            f"{path}: the mask claims a size of {image.shape} voxels; export it as one volume."
        )


def _is_placed(header: Any) -> bool:  # noqa: ANN401 - nibabel's headers have no common type
    """Return whether the affine is from the file; without both codes nibabel invents one."""
    return int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0


def _as_labels(path: Path, values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype.kind not in "biuf" or not 0 <= values.min() <= values.max() <= MAX_LABEL:
        raise DataRootError(
            f"{path}: labels must be 0..{MAX_LABEL} (C1..C7 are 1..7); export the mask again."
        )
    labels = values.astype(np.uint8)
    if values.dtype.kind == "f" and not np.array_equal(labels, values):
        raise DataRootError(f"{path}: labels must be whole numbers; export the mask again.")
    return labels


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

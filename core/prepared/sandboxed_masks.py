"""NIfTI masks of unknown origin, decoded and resampled in a process that may be killed.

The child gets the file of the volume's voxels and leaves the mask in a file of plain numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.dataset.mask_files import MAX_LABEL
from core.dataset.masks import load_vertebra_mask
from core.errors import DataRootError, WorkerError
from core.system.sandbox import ConfinedWorkers
from core.types import CTVolume, Progress

_MASK_FILE: Final = "mask.npy"
_HU_FILE: Final = "hu.npy"


def read_mask_confined(
    path: Path, volume: CTVolume, worker: ConfinedWorkers, *, on_bone: bool = True
) -> NDArray[np.uint8]:
    """Read a mask as `load_vertebra_mask` does, without decoding it in this process.

    Args:
        path: NIfTI file.
        volume: Volume of the grid; its voxels are handed over as a file, the one that they are
            mapped from if there is one.
        worker: From `confined_reader`.
        on_bone: As for `load_vertebra_mask`.

    Returns:
        uint8 (z, y, x), labels as `load_vertebra_mask` returns them.

    Raises:
        DataRootError: The mask cannot be read, or takes too much memory or time.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / _MASK_FILE
        request = {
            "what": "mask", "mask": str(path.absolute()),
            # A grid without pixels has one value for all of them, until it is written to a file.
            "on_bone": on_bone and any(volume.hu.strides),
            "out": str(out),
            "hu": str(_voxel_file(volume, Path(folder))),
            "affine": volume.affine.tolist(), "z_mm": volume.z_mm.tolist(),
            "spacing_mm": [float(step) for step in volume.spacing_mm],
        }  # fmt: skip
        try:
            worker.call(request)
            mask = np.load(out, allow_pickle=False)
        except (WorkerError, OSError, ValueError) as error:
            raise DataRootError(
                f"{path}: reading the mask took too much memory or time, or broke the process that "
                "read it; export it again as one volume of whole numbers."
            ) from error
    if mask.dtype != np.uint8 or mask.shape != volume.hu.shape or mask.max(initial=0) > MAX_LABEL:
        raise DataRootError(f"{path}: what was read of it is no mask; export it again.")
    return mask


def write_mask(request: Mapping[str, Any], progress: Progress) -> None:
    """Read the mask in `mask` and write it to `out`: what the worker does."""
    del progress
    hu = np.load(request["hu"], mmap_mode="r", allow_pickle=False)
    z, y, x = request["spacing_mm"]
    volume = CTVolume(
        hu=hu, spacing_mm=(z, y, x), affine=np.array(request["affine"], np.float64),
        z_mm=np.array(request["z_mm"], np.float64), instance_numbers=(), source_files=(),
        study_uid="", series_uid="", slice_thickness_mm=None,
    )  # fmt: skip
    mask = load_vertebra_mask(Path(request["mask"]), volume, on_bone=request["on_bone"])
    np.save(request["out"], mask, allow_pickle=False)


def _voxel_file(volume: CTVolume, folder: Path) -> Path:
    """The file that a volume's voxels are mapped from; a new one in `folder` without one."""
    hu = volume.hu
    if isinstance(hu, np.memmap) and hu.filename is not None and hu.flags.c_contiguous:
        mapped = Path(hu.filename)
        whole = int(np.prod(hu.shape)) * hu.dtype.itemsize + int(hu.offset)
        if mapped.is_file() and mapped.stat().st_size == whole:
            return mapped
    np.save(folder / _HU_FILE, hu, allow_pickle=False)
    return folder / _HU_FILE

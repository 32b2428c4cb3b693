"""Writing labels of vertebrae as a NIfTI mask that `load_vertebra_mask` reads."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.system.atomic_files import write_bytes
from core.types import CTVolume

_RAS_OF_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SUFFIXES = (".nii", ".nii.gz")


def write_mask_file(path: Path, labels: NDArray[np.uint8], volume: CTVolume) -> None:
    """Write labels on the grid of a volume as NIfTI, stored sagittally like RSNA's masks.

    The array axes become (anterior, superior, left), the affine maps to RAS mm. Unevenly spaced
    slices are repeated or left out so that the mask's planes are even, as NIfTI needs.

    Args:
        path: Ends in .nii or .nii.gz; replaced atomically.
        labels: uint8 (z, y, x), 0 background, 1..7 C1..C7, 8..19 T1..T12.
        volume: Its affine maps (z, y, x) to LPS mm.

    Raises:
        ConfigError: The name has another suffix.
        StorageError: The file cannot be written.
        ValueError: The shapes of labels and volume differ.
    """
    check_mask_name(path)
    if labels.shape != volume.hu.shape:
        raise ValueError(f"Labels {labels.shape} do not lie on a volume {volume.hu.shape}.")
    even = labels[_nearest_slices(volume.z_mm)]
    stored = np.ascontiguousarray(even.transpose(1, 0, 2)[::-1, ::-1, :])
    n, rows = even.shape[:2]
    flips = np.array([[0, -1, 0, n - 1], [-1, 0, 0, rows - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    image = nib.Nifti1Image(stored, _RAS_OF_LPS @ volume.affine @ flips)
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=4, mtime=0)
    write_bytes(path, content)


def check_mask_name(path: Path) -> None:
    """Refuse a file that would not be recognised as NIfTI.

    Raises:
        ConfigError: The name ends in neither .nii nor .nii.gz.
    """
    if not path.name.endswith(_SUFFIXES):
        raise ConfigError(f"{path.name} is no name of a mask; end it in .nii.gz or .nii.")


def _nearest_slices(z_mm: NDArray[np.float64]) -> NDArray[np.int64]:
    """The slice nearest to each of as many even steps from the first to the last."""
    even = np.linspace(z_mm[0], z_mm[-1], len(z_mm))
    return np.abs(z_mm - even[:, None]).argmin(axis=1)

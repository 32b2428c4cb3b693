"""A data root of small synthetic studies that a network can be trained on in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np

from core.constants import VERTEBRAE
from tests.core.dicom.dicom_factory import write_ct_series

SIDE = 48
SPACING_MM = (2.0, 1.0, 1.0)


def write_data_root(
    root: Path, *, studies: int = 6, slices: int = 14, with_masks: bool = True, seed: int = 0
) -> Path:
    """Write studies in RSNA's layout: slice i shows vertebra i*7//slices as a bright square.

    Every second study is fractured, at one vertebra: its square has a dark cross.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(studies):
        fractured = int(rng.integers(7)) if number % 2 else None
        study_id = f"1.2.{number + 1}"
        hu, mask = _made_study(rng, slices, fractured)
        write_ct_series(
            root / "train_images" / study_id, hu, spacing_mm=SPACING_MM, z_first_mm=0.0,
            origin_xy_mm=(0.0, 0.0), study_uid=study_id,
        )  # fmt: skip
        if with_masks:
            _write_mask(root / "segmentations" / f"{study_id}.nii", mask)
        flags = [int(j == fractured) for j in range(7)]
        rows.append([study_id, max(flags), *flags])
    with (root / "train.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["StudyInstanceUID", "patient_overall", *VERTEBRAE], *rows])
    (root / "phantom.json").write_text("{}")
    return root


def _made_study(rng, slices, fractured):
    hu = rng.normal(0, 60, (slices, SIDE, SIDE)).astype(np.int16)
    mask = np.zeros(hu.shape, np.uint8)
    for i in range(slices):
        j = i * 7 // slices
        square = (slice(6 + 4 * j, 16 + 4 * j), slice(18, 30))
        hu[i][square] += 900
        mask[i][square] = j + 1
        if j == fractured:
            hu[i, 10 + 4 * j, 18:30] = -700
            hu[i, 6 + 4 * j : 16 + 4 * j, 23] = -700
    return hu, mask


def _write_mask(path, mask):
    # NIfTI (x, y, z) in RAS: x and y change sign against DICOM's LPS, z falls with the slice.
    path.parent.mkdir(parents=True, exist_ok=True)
    dz, dy, dx = SPACING_MM
    nib.save(nib.Nifti1Image(mask.transpose(2, 1, 0), np.diag([-dx, -dy, -dz, 1.0])), path)

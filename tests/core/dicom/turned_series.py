"""One patient, stored in files of any plane and direction; nibabel does the turning."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tests.core.dicom.dicom_factory import write_ct_series

ORDERS = [
    np.column_stack([order, signs])
    for order in permutations(range(3))
    for signs in product([1, -1], repeat=3)
]
"""The 48 orientations as nibabel states them: target axis and sign for each axis (z, y, x)."""
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_turned(
    folder: Path,
    hu: NDArray[np.int16],
    affine: NDArray[np.float64],
    order: NDArray[Any],
    **options: Any,
) -> NDArray[np.float64]:
    """Write a volume as axes (file, row, column) in another order and direction.

    Args:
        folder: For the files, `<k>.dcm` from 1.
        hu: int16 HU (z, y, x).
        affine: Of `hu`, (z, y, x, 1) to LPS mm.
        order: One of `ORDERS`.
        **options: As for `write_ct_series`.

    Returns:
        The affine of (file, row, column, 1), float64 (4, 4).
    """
    image = nib.Nifti1Image(hu, LPS_RAS @ affine).as_reoriented(order)
    turned = LPS_RAS @ image.affine
    steps = np.linalg.norm(turned[:3, :3], axis=0)
    units = turned[:3, :3] / steps
    further = options.pop("edit", None)

    def place(dataset: Any, index: int) -> None:
        position = turned[:3] @ (index, 0.0, 0.0, 1.0)
        dataset.ImagePositionPatient = [f"{value:.10g}" for value in position]
        if further is not None:
            further(dataset, index)

    write_ct_series(
        folder, np.ascontiguousarray(image.dataobj), spacing_mm=tuple(steps),
        orientation=(*units[:, 2], *units[:, 1]), edit=place, **options,
    )  # fmt: skip
    return turned

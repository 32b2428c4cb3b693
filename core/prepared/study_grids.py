"""Studies prepared for segmentation: grids along the spine with their labels, in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.cache.entries import fetch_entry
from core.config import SlicePreparation
from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from core.prepared.slices import series_key
from core.preprocessing.spine_field import FIELD_VERSION
from core.preprocessing.spine_grid import spine_grid_of
from core.types import Store, StudyRecord

GRID_VERSION: Final = 1
"""Part of every store key: increase it when the same series gets another grid."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyGrid:
    """One study as a segmenter sees it, with its truth.

    Attributes:
        study_id: StudyInstanceUID.
        image: uint8 (z, y, x), grey levels; memory-mapped and read-only.
        labels: uint8 (z, y, x): 0 background, 1..7 C1..C7, 8 other vertebra.
    """

    study_id: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def load_study_grid(
    record: StudyRecord, preparation: SlicePreparation, *, store: Store
) -> StudyGrid:
    """Give a study's grid from the store, preparing it first where it is missing.

    Args:
        record: The study, with a mask.
        preparation: Window, side of the squares and their pixels; `field_mm` is set.
        store: Where grids are kept.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone, or the mask is missing or cannot be read.
        StorageError: The store cannot be written.
        ValueError: The study has no mask.
    """
    mask_file = record.mask_file
    if mask_file is None:
        raise ValueError(f"Study {record.study_id} has no mask to learn from.")
    how = [preparation.window_center, preparation.window_width, preparation.field_mm,
           preparation.size, FIELD_VERSION, GRID_VERSION]  # fmt: skip

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        volume = read_series(record.folder)
        grid, image = spine_grid_of(volume, preparation)
        labels = grid.labels_from_slices(load_vertebra_mask(mask_file, volume))
        return {"image": image, "labels": labels}, {}

    key = series_key(record, store, {"segmentation": how})
    arrays = fetch_entry(store, "slices", key, build).arrays
    return StudyGrid(record.study_id, arrays["image"], arrays["labels"])

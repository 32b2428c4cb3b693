"""Studies prepared for localisation: squares that follow the spine, with the boxes in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.cache.entries import fetch_entry
from core.config import SlicePreparation
from core.dataset.true_boxes import by_slice, place_boxes
from core.dicom.series import read_series
from core.prepared.slices import StudySlices, series_arrays, series_key
from core.prepared.stored_mapping import mapping_from, mapping_values
from core.preprocessing.box_geometry import boxes_to_square
from core.preprocessing.network_input import slices_for_network
from core.preprocessing.spine_field import FIELD_VERSION, spine_field_of
from core.types import CTVolume, Store, StudyRecord


@dataclass(frozen=True, slots=True, eq=False)
class BoxSlices:
    """One study as a localiser sees it, with its true boxes.

    Attributes:
        study_id: StudyInstanceUID.
        images: uint8 (n, size, size), memory-mapped and read-only; slice 0 the most cranial.
        squares: float64 (n, 4), left, top, right, bottom of each slice's square in pixels of the
            volume's slice.
        boxes: By slice index, xyxy float64 (k, 4) in pixels of `images`.
        presence: bool (n, 7), v_ij; None where the study has no mask.
        fractured: Whether the patient is; None where unlabelled.
        z_mm: float64 (n,), as in `CTVolume`.
    """

    study_id: str
    images: NDArray[np.uint8]
    squares: NDArray[np.float64]
    boxes: dict[int, NDArray[np.float64]]
    presence: NDArray[np.bool_] | None
    fractured: bool | None
    z_mm: NDArray[np.float64]

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.images)

    @property
    def is_known(self) -> bool:
        """Whether the absence of a box means something: a boxed study, or an intact one."""
        return bool(self.boxes) or self.fractured is False


def load_box_slices(
    record: StudyRecord, preparation: SlicePreparation, *, store: Store
) -> BoxSlices:
    """Give a study's squares from the store, preparing them first where they are missing.

    Args:
        record: The study.
        preparation: How its squares are prepared; `field_mm` is set.
        store: Where they are kept.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone, or the mask cannot be read.
        StorageError: The store cannot be written.
    """
    how = [preparation.window_center, preparation.window_width, preparation.field_mm,
           preparation.size, FIELD_VERSION]  # fmt: skip
    key = series_key(record, store, {"localisation": how})

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        volume = read_series(record.folder)
        images, squares = squares_of(volume, preparation)
        arrays = {"images": images, "squares": squares} | series_arrays(record, volume)
        if volume.shift_px is not None:
            arrays["shift_px"] = np.asarray(volume.shift_px, dtype=np.float64)
        return arrays, mapping_values(volume)

    entry = fetch_entry(store, "slices", key, build)
    arrays, size = entry.arrays, preparation.size
    squares, numbers = np.array(arrays["squares"]), np.array(arrays["file_numbers"])
    on_volume = by_slice(place_boxes(record.boxes, numbers, mapping_from(entry)))
    return BoxSlices(
        study_id=record.study_id,
        images=arrays["images"],
        squares=squares,
        boxes={i: boxes_to_square(box, squares[i], size) for i, box in on_volume.items()},
        presence=np.array(arrays["presence"]) if "presence" in arrays else None,
        fractured=record.patient_fractured,
        z_mm=np.array(arrays["z_mm"]),
    )


def with_boxes(
    study: StudySlices, record: StudyRecord, preparation: SlicePreparation, *, store: Store
) -> StudySlices:
    """Add the boxes of a study to its prepared slices.

    Args:
        study: The slices, prepared alike.
        record: The study.
        preparation: As for `load_box_slices`.
        store: As for `load_box_slices`.

    Raises:
        DicomSeriesError, DataRootError, StorageError: As for `load_box_slices`.
    """
    if not record.boxes:
        return study
    found = load_box_slices(record, preparation, store=store)
    return replace(study, boxes={i: box / preparation.size for i, box in found.boxes.items()})


def squares_of(
    volume: CTVolume, preparation: SlicePreparation
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut, window and resize the square around the spine of every slice.

    Returns:
        uint8 (n, size, size), and the squares, float64 (n, 4), as in `BoxSlices`.

    Raises:
        ValueError: The preparation names no `field_mm`.
    """
    field = spine_field_of(volume, preparation.field_mm)
    if field is None:
        raise ValueError("A localiser sees a square along the spine; its field_mm is not set.")
    squares = np.array([field.box_xyxy(i) for i in range(volume.n_slices)], dtype=np.float64)
    return slices_for_network(volume.hu, preparation, field), squares

"""The per-study slice store: network-ready uint8 slices, built once and memory-mapped after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.cache.entries import CacheEntry, fetch_entry
from core.cache.keys import (
    entry_key,
    named_folder_digest,
)
from core.config import SlicePreparation
from core.constants import ChannelMode
from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dataset.slice_table import volume_file_numbers
from core.dataset.true_boxes import place_boxes
from core.dicom.series import read_series
from core.prepared.series_digests import series_digest, study_digests
from core.prepared.stored_mapping import mapping_from, mapping_values
from core.preprocessing.network_input import slices_for_network
from core.preprocessing.spine_field import FIELD_VERSION, spine_field_of
from core.types import CTVolume, NoiseReduction, Store, StudyRecord


@dataclass(frozen=True, slots=True, eq=False)
class StudySlices:
    """One study as a network sees it, with its truth.

    Attributes:
        images: uint8, memory-mapped and read-only; slice 0 the most cranial. (n, size, size) for
            the channel modes "grey" and "neighbours", (n, 3, size, size) for "windows".
        presence: bool (n, 7), v_ij for C1..C7; None where the study has no mask.
        fractured: bool (7,), y_j for C1..C7; None where unlabelled.
        z_mm: float64 (n,), as in `CTVolume`.
        study_id: StudyInstanceUID.
        thickness_mm: Slice thickness; NaN where the files do not say.
        spacing_mm: (z, y, x) of the series, before any resizing; NaN where unknown.
        channels: What the network's three channels hold.
        boxed: bool (n,), whether a box of `train_bounding_boxes.csv` lies on the slice; None where
            nothing is known of boxes: a fractured or unlabelled study without any.
        boxes: By slice index, xyxy float64 (k, 4) as fractions of the image's sides; empty unless
            a task has added them, see `core.prepared.box_slices.with_boxes`.
    """

    images: NDArray[np.uint8]
    presence: NDArray[np.bool_] | None
    fractured: NDArray[np.bool_] | None
    z_mm: NDArray[np.float64]
    study_id: str
    thickness_mm: float = math.nan
    spacing_mm: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    channels: ChannelMode = "grey"
    boxed: NDArray[np.bool_] | None = None
    boxes: Mapping[int, NDArray[np.float64]] = field(default_factory=dict[int, NDArray[np.float64]])

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.images)


def load_study_slices(
    record: StudyRecord,
    preparation: SlicePreparation,
    *,
    store: Store,
) -> StudySlices:
    """Give a study's prepared slices from the store, preparing them first where they are missing.

    The entry's name is the content of the DICOM files and of the mask together with the
    preprocessing, so a changed file or setting is never answered from an old entry, and a moved
    or copied data set still is. Grey slices serve as neighbours too.

    Args:
        record: The study.
        preparation: How its slices are prepared.
        store: Where they are kept.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone, or the mask cannot be read.
        StorageError: The store cannot be written.
    """
    entry = slices_entry(record, preparation, store=store)
    thickness = entry.values["thickness_mm"]
    z_spacing, y_spacing, x_spacing = entry.values["spacing_mm"]
    return StudySlices(
        images=entry.arrays["images"],
        presence=np.array(entry.arrays["presence"]) if "presence" in entry.arrays else None,
        fractured=None if record.fractured is None else np.array(record.fractured, dtype=bool),
        z_mm=np.array(entry.arrays["z_mm"]),
        study_id=record.study_id,
        thickness_mm=math.nan if thickness is None else thickness,
        spacing_mm=(z_spacing, y_spacing, x_spacing),
        channels=preparation.channels,
        boxed=_boxed(record, entry),
    )


def _boxed(record: StudyRecord, entry: CacheEntry) -> NDArray[np.bool_] | None:
    if not record.boxes and record.patient_fractured is not False:
        return None
    numbers = np.array(entry.arrays["file_numbers"])
    placed = place_boxes(record.boxes, numbers, mapping_from(entry))
    return np.isin(np.arange(len(entry.arrays["z_mm"])), [box.slice_index for box in placed])


def slices_entry(
    record: StudyRecord, preparation: SlicePreparation, *, store: Store, jobs: int | None = None
) -> CacheEntry:
    """The entry behind `load_study_slices`; `jobs` threads read the series if it is missing."""
    field_mm = preparation.field_mm
    key = series_key(
        record,
        store,
        {
            "windows": [[window.center, window.width] for window in preparation.windows],
            "crop": preparation.crop if field_mm is None else None,
            "field_mm": None if field_mm is None else [field_mm, FIELD_VERSION],
            "size": preparation.size,
        }
        | _noise_key(preparation.noise),
    )

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        volume = read_series(record.folder, jobs=jobs)
        images = slices_for_network(volume.hu, preparation, spine_field_of(volume, field_mm))
        arrays = {"images": images} | series_arrays(record, volume)
        if volume.shift_px is not None and not volume.axes.keeps_slices:
            # Slices go by the files' numbers alone, unless a box crosses several of them.
            arrays["shift_px"] = np.asarray(volume.shift_px, dtype=np.float64)
        return arrays, {
            "thickness_mm": volume.slice_thickness_mm,
            "spacing_mm": [float(step) for step in volume.spacing_mm],
        } | mapping_values(volume)

    return fetch_entry(store, "slices", key, build)


def series_key(record: StudyRecord, store: Store, how: Mapping[str, Any]) -> str:
    """Key of an entry made of a study's files and mask in the way that `how` describes."""
    # Boxes go by the files' numbers, so a renamed file makes another entry.
    named = series_digest(record.folder, named_folder_digest, store.folder)
    return entry_key(study_digests(record, store.folder) | {"series": named} | dict(how))


def series_arrays(record: StudyRecord, volume: CTVolume) -> dict[str, NDArray[Any]]:
    """File numbers, positions of the slices, and v_ij if the study has a mask."""
    arrays: dict[str, NDArray[Any]] = {
        "file_numbers": volume_file_numbers(volume),
        "z_mm": np.asarray(volume.z_mm, dtype=np.float64),
    }
    if record.mask_file is not None:
        arrays["presence"] = presence_from_mask(load_vertebra_mask(record.mask_file, volume))
    return arrays


def _noise_key(noise: NoiseReduction) -> dict[str, Any]:
    """What noise reduction adds to a key: nothing where it is off, so that old entries serve."""
    value = {"threshold": noise.threshold, "kmeans": noise.clusters}.get(noise.method)
    return {} if noise.method == "none" else {"noise": [noise.method, value]}

"""Full-resolution volumes for the viewer: int16 HU, decoded once and memory-mapped after."""

from __future__ import annotations

from typing import Any, NoReturn

from numpy.typing import NDArray

from core.cache.entries import CacheEntry, fetch_entry
from core.cache.keys import entry_key, named_folder_digest
from core.dicom.series import read_series
from core.errors import StorageError
from core.prepared.series_digests import series_digest
from core.prepared.stored_mapping import mapping_from, mapping_values
from core.system.file_tree import path_below
from core.types import CTVolume, Progress, Store, StudyRecord


class _MissingError(Exception):
    """The store does not hold an entry."""


def load_viewer_volume(
    record: StudyRecord, *, store: Store, progress: Progress | None = None
) -> CTVolume:
    """Give a study's volume from the store, reading the series first where it is missing.

    Args:
        record: The study.
        store: Where the volume is kept.
        progress: As for `read_series`, while it is read.

    Returns:
        The volume as `read_series` gives it; its arrays are memory-mapped and read-only.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone.
        StorageError: The store cannot be written.
    """
    return _volume(record, volume_entry(record, store=store, progress=progress))


def stored_viewer_volume(record: StudyRecord, *, store: Store) -> CTVolume:
    """Give a study's volume from the store, where another process has put it; decodes nothing.

    Raises:
        DataRootError: The study's folder is gone.
        StorageError: The store does not hold the volume, or cannot be read.
    """
    found = find_viewer_volume(record, store=store)
    if found is None:
        raise StorageError(
            f"{store.folder} does not hold the volume that was put there; free some space and open "
            "the study again."
        )
    return found


def find_viewer_volume(record: StudyRecord, *, store: Store) -> CTVolume | None:
    """Give a study's volume if the store holds it; decodes nothing.

    Raises:
        DataRootError: The study's folder is gone.
        StorageError: The store cannot be read.
    """

    def build() -> NoReturn:
        raise _MissingError

    try:
        return _volume(record, fetch_entry(store, "volumes", _key(record, store), build))
    except _MissingError:
        return None


def _key(record: StudyRecord, store: Store) -> str:
    return entry_key({"volume": series_digest(record.folder, named_folder_digest, store.folder)})


def volume_entry(
    record: StudyRecord, *, store: Store, jobs: int | None = None, progress: Progress | None = None
) -> CacheEntry:
    """The entry behind `load_viewer_volume`; `jobs` threads read the series if it is missing."""

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        volume = read_series(record.folder, jobs=jobs, progress=progress)
        arrays = {"hu": volume.hu, "affine": volume.affine, "z_mm": volume.z_mm}
        if volume.shift_px is not None:
            arrays["shift_px"] = volume.shift_px
        return arrays, {
            "spacing_mm": [float(step) for step in volume.spacing_mm],
            "instance_numbers": list(volume.instance_numbers),
            "files": [path_below(path, record.folder) for path in volume.source_files],
            "study_uid": volume.study_uid,
            "series_uid": volume.series_uid,
            "slice_thickness_mm": volume.slice_thickness_mm,
            "notes": list(volume.notes),
        } | mapping_values(volume)

    return fetch_entry(store, "volumes", _key(record, store), build)


def _volume(record: StudyRecord, entry: CacheEntry) -> CTVolume:
    values = entry.values
    z_spacing, y_spacing, x_spacing = values["spacing_mm"]
    return CTVolume(
        hu=entry.arrays["hu"],
        spacing_mm=(z_spacing, y_spacing, x_spacing),
        affine=entry.arrays["affine"],
        z_mm=entry.arrays["z_mm"],
        instance_numbers=tuple(values["instance_numbers"]),
        source_files=tuple(record.folder / name for name in values["files"]),
        study_uid=values["study_uid"],
        series_uid=values["series_uid"],
        slice_thickness_mm=values["slice_thickness_mm"],
        notes=tuple(values["notes"]),
        shift_px=entry.arrays.get("shift_px"),
        axes=mapping_from(entry).axes,
    )

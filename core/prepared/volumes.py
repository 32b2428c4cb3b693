"""Full-resolution volumes for the viewer: int16 HU, decoded once and memory-mapped after."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from core.cache.entries import Build, fetch_entry
from core.cache.eviction import StoreLimit
from core.cache.keys import entry_key, named_folder_digest, remembered_digest
from core.dicom.series import read_series
from core.errors import StorageError
from core.system.parallel import Workers, run_over
from core.types import CTVolume, Progress, StudyRecord


@dataclass(frozen=True, slots=True, eq=False)
class ViewerVolume:
    """One study at full resolution, as `read_series` gives it.

    Attributes:
        hu: int16 HU, (n, rows, cols), memory-mapped and read-only; slice 0 the most cranial.
        spacing_mm: (z, y, x), as in `CTVolume`.
        affine: float64 (4, 4), as in `CTVolume`.
        z_mm: float64 (n,), as in `CTVolume`.
        instance_numbers: DICOM InstanceNumber per slice.
        source_files: One path per slice.
        study_uid: StudyInstanceUID in the files.
        series_uid: SeriesInstanceUID.
        slice_thickness_mm: None where the files do not say.
        notes: Sentences about choices made while reading, for the user to see.
        shift_px: As in `CTVolume`.
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    z_mm: NDArray[np.float64]
    instance_numbers: tuple[int, ...]
    source_files: tuple[Path, ...]
    study_uid: str
    series_uid: str
    slice_thickness_mm: float | None
    notes: tuple[str, ...]
    shift_px: NDArray[np.float64] | None = None

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.hu)

    def as_volume(self) -> CTVolume:
        """The same as a `CTVolume`; its voxels stay memory-mapped."""
        return CTVolume(
            hu=self.hu,
            spacing_mm=self.spacing_mm,
            affine=self.affine,
            z_mm=self.z_mm,
            instance_numbers=self.instance_numbers,
            source_files=self.source_files,
            study_uid=self.study_uid,
            series_uid=self.series_uid,
            slice_thickness_mm=self.slice_thickness_mm,
            notes=self.notes,
            shift_px=self.shift_px,
        )


def load_viewer_volume(
    record: StudyRecord,
    *,
    cache_dir: Path,
    jobs: int | None = None,
    limit: StoreLimit | None = None,
    progress: Progress | None = None,
) -> ViewerVolume:
    """Give a study's volume from the store, reading the series first where it is missing.

    Args:
        record: The study.
        cache_dir: Folder of the store.
        jobs: Threads that read the series when the entry is missing.
        limit: Size of the store; `CACHE_LIMIT_GIB` unless given.
        progress: As for `read_series`, while it is read.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone.
        StorageError: The store cannot be written.
    """

    def build() -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        volume = read_series(record.folder, jobs=jobs, progress=progress)
        arrays = {"hu": volume.hu, "affine": volume.affine, "z_mm": volume.z_mm}
        if volume.shift_px is not None:
            arrays["shift_px"] = volume.shift_px
        return arrays, {
            "spacing_mm": [float(step) for step in volume.spacing_mm],
            "instance_numbers": list(volume.instance_numbers),
            "files": [path.name for path in volume.source_files],
            "study_uid": volume.study_uid,
            "series_uid": volume.series_uid,
            "slice_thickness_mm": volume.slice_thickness_mm,
            "notes": list(volume.notes),
        }

    return _fetch(record, cache_dir, build, limit)


def stored_viewer_volume(record: StudyRecord, *, cache_dir: Path) -> ViewerVolume:
    """Give a study's volume from the store, where another process has put it; decodes nothing.

    Raises:
        DataRootError: The study's folder is gone.
        StorageError: The store does not hold the volume, or cannot be read.
    """

    def build() -> NoReturn:
        raise StorageError(
            f"{cache_dir} does not hold the volume that was put there; free some space and open "
            "the study again."
        )

    return _fetch(record, cache_dir, build, None)


def _fetch(
    record: StudyRecord, cache_dir: Path, build: Build, limit: StoreLimit | None
) -> ViewerVolume:
    digest = remembered_digest(record.folder, named_folder_digest, cache_dir)
    entry = fetch_entry(cache_dir, "volumes", entry_key({"volume": digest}), build, limit)
    values = entry.values
    z_spacing, y_spacing, x_spacing = values["spacing_mm"]
    return ViewerVolume(
        hu=entry.arrays["hu"],
        spacing_mm=(z_spacing, y_spacing, x_spacing),
        affine=np.array(entry.arrays["affine"]),
        z_mm=np.array(entry.arrays["z_mm"]),
        instance_numbers=tuple(values["instance_numbers"]),
        source_files=tuple(record.folder / name for name in values["files"]),
        study_uid=values["study_uid"],
        series_uid=values["series_uid"],
        slice_thickness_mm=values["slice_thickness_mm"],
        notes=tuple(values["notes"]),
        shift_px=np.array(entry.arrays["shift_px"]) if "shift_px" in entry.arrays else None,
    )


@dataclass(frozen=True, slots=True)
class VolumesReport:
    """What a call of `fill_viewer_store` did.

    Attributes:
        ready: Studies whose volume was prepared or found.
        failed: Study id and reason of the others.
        bytes: Size of the volumes that were prepared or found.
    """

    ready: int
    failed: list[tuple[str, str]]
    bytes: int


def fill_viewer_store(
    records: Iterable[StudyRecord],
    *,
    cache_dir: Path,
    workers: Workers,
    limit: StoreLimit | None = None,
    progress: Progress | None = None,
) -> VolumesReport:
    """Prepare many volumes, over processes or a cluster that share `cache_dir`.

    A study that cannot be read is reported and does not stop the others.

    Args:
        records: The studies.
        cache_dir: Folder of the store.
        workers: Where the work is done.
        limit: Size of the store; `CACHE_LIMIT_GIB` of this process unless given.
        progress: Called with (studies done, studies in all).

    Raises:
        ConfigError: The cluster cannot be used.
    """
    prepare = functools.partial(
        _volume_bytes,
        cache_dir=cache_dir,
        limit=limit or StoreLimit.from_settings(),
        jobs=None if workers.jobs == 1 else 1,
    )
    sizes: list[int] = []
    failed: list[tuple[str, str]] = []
    for outcome in run_over(prepare, records, workers=workers, progress=progress):
        if outcome.value is not None:
            sizes.append(outcome.value)
        else:
            failed.append((outcome.item.study_id, str(outcome.error)))
    return VolumesReport(len(sizes), sorted(failed), sum(sizes))


def _volume_bytes(
    record: StudyRecord, *, cache_dir: Path, limit: StoreLimit, jobs: int | None
) -> int:
    return load_viewer_volume(record, cache_dir=cache_dir, jobs=jobs, limit=limit).hu.nbytes

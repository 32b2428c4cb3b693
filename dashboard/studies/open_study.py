"""Open studies: the voxels are read once and kept while the files stay the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.cache.keys import fingerprint_folder, remembered_digest
from core.dicom.series import read_series
from core.prepared.series_digests import oriented_digest
from core.system.file_tree import files_below
from core.types import CTVolume, Progress
from dashboard.background.shelf import Shelf
from dashboard.session.settings import settings
from dashboard.studies.cohort import files_signature
from dashboard.studies.confined import derived_folder, read_folder, read_upload


@dataclass(frozen=True, slots=True, eq=False)
class OpenStudy:
    """A series in memory.

    Attributes:
        fingerprint: sha256 of the contents of the files and of the order in which their voxels are
            taken; key of everything derived.
        volume: Voxels, read-only.
        owner: The only session that may see an upload; None if every session may open the study.
    """

    fingerprint: str
    volume: CTVolume
    owner: str | None = None


OPEN_STUDIES: Final = Shelf[OpenStudy](4)


def open_study(
    folder: Path, *, owner: str | None = None, progress: Progress | None = None
) -> OpenStudy:
    """Read the series in `folder`, from memory or cache while its files stay the same.

    Args:
        folder: Holds the series, in itself or in sub-folders.
        owner: Session that uploaded it, so that nothing of it is kept in the store. None otherwise.
        progress: Called with slices read and slices in all while an upload is read; what it raises
            ends the reading.

    Raises:
        DicomSeriesError: The folder does not hold a readable CT series.
        StorageError: The store cannot be written.
        WorkerError: Reading it took too much memory or time, or broke its process.
    """
    try:
        signature = files_signature(*files_below(folder))
    except OSError:
        # `read_series` finds the same fault and describes it.
        read_series(folder)
        raise
    return OPEN_STUDIES.get(
        (str(folder), signature), lambda: _read(folder, owner, progress), owner=owner
    )


def cache_of(study: OpenStudy) -> Path:
    """Cache folder for data derived from a study; that of an upload is deleted with it."""
    current = settings()
    if study.owner is None:
        return current.rsna_cache
    return derived_folder(study.owner, current)


def _read(path: Path, owner: str | None, progress: Progress | None) -> OpenStudy:
    if owner is not None:
        volume = read_upload(path, owner, settings(), progress)
        digest = fingerprint_folder(path)
    else:
        volume = read_folder(path)
        digest = remembered_digest(path, fingerprint_folder, settings().store.folder)
    return OpenStudy(oriented_digest(digest, volume.axes), volume, owner)

"""The per-study slice store: network-ready uint8 slices, built once and memory-mapped after."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.atomic import write_text
from core.data.dicom_series import read_series
from core.data.fingerprint import fingerprint_folder
from core.data.masks import load_vertebra_mask, presence_from_mask
from core.errors import DataRootError, StorageError
from core.preprocessing.network_input import slices_for_network
from core.types import HuWindow, StudyRecord

STORE_VERSION: Final = 1
"""Part of every key: raise it when the prepared pixels or presences change their meaning."""


@dataclass(frozen=True, slots=True, eq=False)
class StudySlices:
    """One study as a network sees it, with its truth.

    Attributes:
        images: uint8 (n, size, size), memory-mapped and read-only; slice 0 the most cranial.
        presence: bool (n, 7), v_ij for C1..C7; None where the study has no mask.
        fractured: bool (7,), y_j for C1..C7; None where unlabelled.
        z_mm: float64 (n,), as in `CTVolume`.
        study_id: StudyInstanceUID.
    """

    images: NDArray[np.uint8]
    presence: NDArray[np.bool_] | None
    fractured: NDArray[np.bool_] | None
    z_mm: NDArray[np.float64]
    study_id: str

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return len(self.images)


def load_study_slices(
    record: StudyRecord,
    *,
    window: HuWindow,
    crop: float,
    size: int,
    cache_dir: Path,
    jobs: int | None = None,
) -> StudySlices:
    """Give a study's prepared slices from the store, preparing them first where they are missing.

    The entry's name is the content of the DICOM files and of the mask together with the
    preprocessing, so a changed file or setting is never answered from an old entry, and a moved
    or copied data set still is.

    Args:
        record: The study.
        window: HU window mapped to 0..255.
        crop: Central fraction of the slice that is kept, in (0, 1].
        size: Side of a prepared slice in pixels.
        cache_dir: Folder of the store.
        jobs: Processes that read the series when the entry is missing.

    Raises:
        DicomSeriesError: The series cannot be read.
        DataRootError: The study's folder is gone, or the mask cannot be read.
        StorageError: The store cannot be written.
    """
    key = _entry_key(record, window=window, crop=crop, size=size, cache_dir=cache_dir)
    entry = cache_dir / "slices" / key[:2] / key
    arrays = _open_entry(entry)
    if arrays is None:
        _build_entry(record, entry, window=window, crop=crop, size=size, jobs=jobs)
        arrays = _open_entry(entry)
    if arrays is None:
        raise StorageError(f"{entry} does not read back; check the disk, or delete that folder.")
    fractured = None if record.fractured is None else np.array(record.fractured, dtype=bool)
    return StudySlices(
        images=arrays["images"],
        presence=arrays.get("presence"),
        fractured=fractured,
        z_mm=np.array(arrays["z_mm"]),
        study_id=record.study_id,
    )


def _entry_key(
    record: StudyRecord, *, window: HuWindow, crop: float, size: int, cache_dir: Path
) -> str:
    """sha256 over everything that decides the entry's content."""
    mask = record.mask_file
    content = {
        "version": STORE_VERSION,
        "series": _remembered_digest(record.folder, fingerprint_folder, cache_dir),
        "mask": None if mask is None else _remembered_digest(mask, _file_digest, cache_dir),
        "window": [float(window.center), float(window.width)],
        "crop": float(crop),
        "size": size,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _remembered_digest(path: Path, digest: Callable[[Path], str], cache_dir: Path) -> str:
    """Give the content hash of a file or folder, taken anew only when a name, size or time changed.

    Hashing RSNA's 350 GiB at the start of every run would take longer than many a run.
    """
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        listing = [
            (file.name, status.st_size, status.st_mtime_ns)
            for file in files
            for status in (file.stat(),)
        ]
    except OSError as error:
        raise DataRootError(
            f"{path} cannot be read; check that it is there and readable."
        ) from error
    state = json.dumps([str(path.resolve()), listing])
    memo = cache_dir / "digests" / hashlib.sha256(state.encode()).hexdigest()
    if memo.is_file() and len(remembered := memo.read_text()) == 64:
        return remembered
    computed = digest(path)
    write_text(memo, computed)
    return computed


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _open_entry(entry: Path) -> dict[str, NDArray[Any]] | None:
    """Memory-map an entry's arrays; None where it is missing or damaged."""
    names = ("images", "z_mm", "presence")
    try:
        arrays = {
            name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in names
            if name != "presence" or (entry / "presence.npy").exists()
        }
    except FileNotFoundError:
        return None
    except (ValueError, EOFError):
        shutil.rmtree(entry, ignore_errors=True)
        return None
    return arrays


def _build_entry(
    record: StudyRecord,
    entry: Path,
    *,
    window: HuWindow,
    crop: float,
    size: int,
    jobs: int | None,
) -> None:
    """Read the series, prepare it and put the entry in place under its final name at once."""
    volume = read_series(record.folder, jobs=jobs)
    arrays: dict[str, NDArray[Any]] = {
        "images": slices_for_network(volume.hu, window=window, crop=crop, size=size),
        "z_mm": np.asarray(volume.z_mm, dtype=np.float64),
    }
    if record.mask_file is not None:
        arrays["presence"] = presence_from_mask(load_vertebra_mask(record.mask_file, volume))
    try:
        _write_entry(entry, arrays)
    except OSError as error:
        reason = error.strerror or "the write failed"
        raise StorageError(
            f"Cannot write the slice store in {entry.parent}: {reason}; free some space or set "
            "RSNA_CACHE to a folder you can write to."
        ) from error


def _write_entry(entry: Path, arrays: dict[str, NDArray[Any]]) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".building-"))
    try:
        for name, array in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
                stream.flush()
                os.fsync(stream.fileno())
        temporary.chmod(0o755)
        try:
            temporary.rename(entry)
        except OSError:
            # Another process built the same content meanwhile; its entry is as good.
            if not entry.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""Content hashes of series, which name everything that is derived from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.cache.keys import file_digest, fingerprint_folder, remembered_digest
from core.dicom.series_grid import series_axes
from core.types import AxisOrder, StudyRecord


def study_digests(record: StudyRecord, cache_dir: Path) -> dict[str, Any]:
    """Digests of a study's series and of its mask.

    Raises:
        DataRootError: The folder or the mask cannot be read.
    """
    mask = record.mask_file
    return {
        "series": series_digest(record.folder, fingerprint_folder, cache_dir),
        "mask": None if mask is None else remembered_digest(mask, file_digest, cache_dir),
    }


def series_digest(folder: Path, digest: Callable[[Path], str], cache_dir: Path) -> str:
    """Content hash of a series' folder, other than `digest` where its voxels are reordered.

    What was kept of such a series before its voxels were brought to the usual orientation is thus
    made again, while everything kept of other series still serves.

    Args:
        folder: Holds the series.
        digest: Gives 64 hex digits for the folder's content.
        cache_dir: Where hashes are remembered.

    Raises:
        DataRootError: The folder cannot be read.
    """

    def oriented(path: Path) -> str:
        return oriented_digest(remembered_digest(path, digest, cache_dir), series_axes(path))

    oriented.__name__ = f"oriented_{digest.__name__}"
    return remembered_digest(folder, oriented, cache_dir)


def oriented_digest(digest: str, axes: AxisOrder) -> str:
    """Join a content hash with the order of the axes: the hash itself for the identity."""
    if axes.is_identity:
        return digest
    order = json.dumps([digest, axes.permutation, axes.flips])
    return hashlib.sha256(order.encode()).hexdigest()

"""Raw boxes of a localiser for a study, stored on disk for all pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from core.models.bundles import BundleInfo
from core.system.atomic_files import atomic_path
from core.types import RawDetections
from dashboard.background.shelf import Shelf
from dashboard.studies.cohort import files_signature
from dashboard.studies.open_study import OpenStudy, cache_of
from dashboard.studies.shipped import shipped_raw

BOXES_FOLDER: Final = "boxes"
"""Folder of raw boxes in the cache."""
_RAW: Final = Shelf[RawDetections](32)


def raw_file(study: OpenStudy, bundle: BundleInfo) -> Path:
    """File of a localiser's raw boxes for a study."""
    name = f"{study.fingerprint}-{bundle.config.weights_sha256[:16]}.npz"
    return cache_of(study) / BOXES_FOLDER / name


def find_raw(study: OpenStudy, bundle: BundleInfo) -> RawDetections | None:
    """Raw boxes of a study: shipped, from memory or disk; None if the localiser has not run."""
    if (shipped := shipped_raw(study.volume, bundle)) is not None:
        return shipped
    file = raw_file(study, bundle)
    if not file.is_file():
        return None
    key = str(file), files_signature(file)
    return _RAW.get(key, lambda: _read_raw(file), owner=study.owner)


def keep_raw(file: Path, raw: RawDetections) -> None:
    """Write raw boxes, atomically.

    Raises:
        StorageError: The file cannot be written.
    """
    about = {"study_id": raw.study_id, "n_sources": raw.n_sources, "models": list(raw.models)}
    with atomic_path(file) as temporary:
        np.savez(
            temporary, slice_index=raw.slice_index, xyxy=raw.xyxy, scores=raw.scores,
            source=raw.source, z_mm=raw.z_mm,
            about=np.array(json.dumps(about)),
        )  # fmt: skip


def _read_raw(file: Path) -> RawDetections:
    """Read what `keep_raw` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        return RawDetections(
            study_id=about["study_id"],
            slice_index=stored["slice_index"],
            xyxy=stored["xyxy"],
            scores=stored["scores"],
            source=stored["source"],
            n_sources=int(about["n_sources"]),
            z_mm=stored["z_mm"],
            models=tuple(about["models"]),
        )

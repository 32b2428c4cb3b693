"""The data set and the bundles in use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.dataset.rsna import is_synthetic, read_studies
from core.models.bundles import BundleInfo, list_bundles
from core.types import StudyRecord
from dashboard.session.settings import settings

COUNT_SLICES_UP_TO = 300
"""Studies; counting the files of more takes seconds, so it is left to an index."""


@dataclass(frozen=True, slots=True)
class CurrentDataSet:
    """The data set in use.

    Attributes:
        root: Its folder.
        synthetic: Whether it was generated.
        studies: Sorted by study_id.
        n_slices: Files in all; None where the set is too large to count while a page waits.
    """

    root: Path
    synthetic: bool
    studies: tuple[StudyRecord, ...]
    n_slices: int | None

    @property
    def n_labelled(self) -> int:
        """Studies with truth."""
        return sum(record.fractured is not None for record in self.studies)

    @property
    def n_fractured(self) -> int:
        """Labelled studies with at least one fracture."""
        return sum(record.patient_fractured is True for record in self.studies)


def find_cohort(root: Path | None = None) -> CurrentDataSet | None:
    """The data set in use; None where the embedded one has not been made yet.

    Args:
        root: Of another data set to read instead.

    Raises:
        DataRootError: The data root is not in RSNA's layout.
    """
    if root is None:
        current = settings()
        root = current.data_root
        if current.rsna_root is None and not (root / "train.csv").is_file():
            return None
    return _cohort(str(root), files_signature(root / "train.csv", root / "train_images"))


def all_bundles() -> list[BundleInfo]:
    """Every bundle that can be read, by name."""
    return list_bundles(settings().checkpoints)


def bundles(task: str) -> list[BundleInfo]:
    """Bundles of one task, by name."""
    return [bundle for bundle in all_bundles() if bundle.config.task == task]


@st.cache_resource(max_entries=4, show_spinner=False)
def _cohort(root: str, signature: str) -> CurrentDataSet:
    del signature
    studies = tuple(read_studies(Path(root)))
    n_slices = None
    if len(studies) <= COUNT_SLICES_UP_TO:
        n_slices = sum(
            entry.suffix == ".dcm" for record in studies for entry in record.folder.iterdir()
        )
    return CurrentDataSet(Path(root), is_synthetic(Path(root)), studies, n_slices)


def files_signature(*paths: Path) -> str:
    """Digest of names, sizes and change times: cheap, and different once a file is replaced."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat() if path.exists() else None
        size, changed = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        digest.update(f"{path}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()

"""Studies of a data set, and the bundles of the installation."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.dataset.rsna import is_synthetic, read_studies
from core.errors import BundleError
from core.models.bundles import BundleInfo, list_bundles, read_bundle, with_team_points
from core.models.ensembles import ensembles_root
from core.models.names import short_name
from core.models.pairs import find_segmenters
from core.training.run_files import RunFiles
from core.types import StudyRecord
from dashboard.session.settings import settings

COUNT_SLICES_UP_TO = 300
"""Largest number of studies whose files are counted; for more, counting takes seconds."""


@dataclass(frozen=True, slots=True)
class CurrentDataSet:
    """The data set in use.

    Attributes:
        root: Root folder of the data set.
        synthetic: Whether the data set was generated.
        studies: Studies, sorted by study_id.
        n_slices: Number of DICOM files; None if the data set is too large to count.
    """

    root: Path
    synthetic: bool
    studies: tuple[StudyRecord, ...]
    n_slices: int | None

    @property
    def n_labelled(self) -> int:
        """Number of studies with labels."""
        return sum(record.fractured is not None for record in self.studies)

    @property
    def n_fractured(self) -> int:
        """Number of labelled studies with at least one fracture."""
        return sum(record.patient_fractured is True for record in self.studies)


def find_cohort(root: Path | None = None) -> CurrentDataSet | None:
    """The data set in use; None if the demo cohort has not been made yet.

    Args:
        root: Root folder of another data set to read instead.

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
    """Every readable shipped bundle with this installation's operating points, sorted by name."""
    return list_bundles(settings().checkpoints, settings().cspine_var)


def saved_ensembles() -> list[BundleInfo]:
    """The ensembles that this installation has saved, with its operating points, by name."""
    return list_bundles(ensembles_root(settings().cspine_var), settings().cspine_var)


def shipped_segmenter() -> BundleInfo | None:
    """The network that labels vertebrae where there is no mask; None if none is shipped."""
    return next(iter(find_segmenters(all_bundles())), None)


def usable_bundles() -> list[BundleInfo]:
    """Every shipped bundle, then the saved ensembles and the bundles of the training runs."""
    return [*all_bundles(), *saved_ensembles(), *_run_bundles()]


def bundle_key(bundle: BundleInfo) -> str:
    """Name of a bundle in links: that of its folder, with a prefix for those made here.

    That is "ensemble.", or "run." and the run of a trained one.
    """
    runs = settings().runs_root
    if bundle.folder.is_relative_to(ensembles_root(settings().cspine_var)):
        return f"ensemble.{bundle.folder.name}"
    if not bundle.folder.is_relative_to(runs):
        return bundle.folder.name
    return f"run.{bundle.folder.parent.relative_to(runs).as_posix()}"


def bundle_title(bundle: BundleInfo) -> str:
    """Name of a bundle on the pages: a short one for a shipped bundle."""
    if not bundle.folder.is_relative_to(settings().runs_root):
        return short_name(bundle.config.name)
    run = bundle.folder.parent
    return f"run {RunFiles(run).read_name() or run.name}"


def bundle_detail(bundle: BundleInfo) -> str:
    """What a bundle is made of, with the technical name of one that has a short name."""
    name = bundle.config.name
    return bundle.config.built_as if bundle_title(bundle) == name else name


def _run_bundles() -> list[BundleInfo]:
    root, found = settings().runs_root, list[BundleInfo]()
    for file in sorted([*root.glob("*/bundle/config.json"), *root.glob("*/*/bundle/config.json")]):
        if file.relative_to(root).parts[0].startswith("."):
            continue
        with suppress(BundleError):
            found.append(with_team_points(read_bundle(file.parent), settings().cspine_var))
    return found


def bundles(task: str) -> list[BundleInfo]:
    """Bundles of one task, in the order of `usable_bundles`."""
    return [bundle for bundle in usable_bundles() if bundle.config.task == task]


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
    """Digest of paths, sizes and modification times: cheap, and new once a file is replaced."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat() if path.exists() else None
        size, changed = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        digest.update(f"{path}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()

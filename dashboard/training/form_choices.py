"""Data sets and bundles on this machine that a training run can use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from core.dataset.rsna import IMAGES_FOLDER, LABELS_FILE, read_studies
from core.models.bundles import list_bundles
from dashboard.session.settings import settings
from dashboard.studies.cohort import COUNT_SLICES_UP_TO, files_signature
from dashboard.training import run_processes

MEAN_SLICES: Final = 711_601 / 2_019
"""Mean slices per study of RSNA 2022, for sets with too many files to count."""


def data_roots() -> tuple[str, ...]:
    """The data set in use, generated cohorts, and existing data sets of earlier runs."""
    current = settings()
    cohorts = sorted(path.parent for path in current.cspine_var.glob(f"training/*/{LABELS_FILE}"))
    earlier = [run.config.data_root for run in run_processes.all_runs() if run.config is not None]
    found = [current.data_root, *cohorts, *(path for path in earlier if path.is_dir())]
    return tuple(dict.fromkeys(str(path) for path in found))


def vertebra_bundles() -> tuple[str, ...]:
    """Folders of the bundles for vertebra detection, shipped ones first."""
    found = [
        bundle.folder for bundle in list_bundles(settings().checkpoints)
        if bundle.config.task == "vertebra"
    ]  # fmt: skip
    found += [
        run.folder / "bundle" for run in run_processes.all_runs()
        if run.config is not None and run.config.task == "vertebra"
        and (run.folder / "bundle" / "config.json").is_file()
    ]  # fmt: skip
    return tuple(str(folder) for folder in found)


@dataclass(frozen=True, slots=True)
class DataSize:
    """Labelled studies and their slices.

    Attributes:
        studies: Number of labelled studies.
        slices: Number of their slices; counted, or estimated for a large set.
    """

    studies: int
    slices: int


def data_size(root: Path) -> DataSize:
    """Count the labelled studies of `root` and their slices.

    Raises:
        DataRootError: The folder is not in RSNA's layout.
    """
    return _data_size(str(root), files_signature(root / LABELS_FILE, root / IMAGES_FOLDER))


@st.cache_data(max_entries=8, show_spinner=False)
def _data_size(root: str, signature: str) -> DataSize:
    del signature
    labelled = [record for record in read_studies(Path(root)) if record.fractured is not None]
    if len(labelled) > COUNT_SLICES_UP_TO:
        return DataSize(len(labelled), round(len(labelled) * MEAN_SLICES))
    slices = sum(len(list(record.folder.glob("*.dcm"))) for record in labelled)
    return DataSize(len(labelled), slices)

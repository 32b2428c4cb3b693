"""How much a data root holds to learn from, without reading its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from core.data.rsna import read_studies
from dashboard.studies.cohort import COUNT_SLICES_UP_TO, files_signature

MEAN_SLICES: Final = 711_601 / 2_019
"""Slices a study of RSNA 2022, for a set whose files are too many to count while a page waits."""


@dataclass(frozen=True, slots=True)
class DataSize:
    """Labelled studies and their slices.

    Attributes:
        studies: Labelled.
        slices: In them; counted, or estimated for a large set.
    """

    studies: int
    slices: int


def data_size(root: Path) -> DataSize:
    """Count what a run on `root` could learn from.

    Raises:
        DataRootError: The folder is not in RSNA's layout.
    """
    return _data_size(str(root), files_signature(root / "train.csv", root / "train_images"))


@st.cache_data(max_entries=8, show_spinner=False)
def _data_size(root: str, signature: str) -> DataSize:
    del signature
    labelled = [record for record in read_studies(Path(root)) if record.fractured is not None]
    if len(labelled) > COUNT_SLICES_UP_TO:
        return DataSize(len(labelled), round(len(labelled) * MEAN_SLICES))
    slices = sum(len(list(record.folder.glob("*.dcm"))) for record in labelled)
    return DataSize(len(labelled), slices)

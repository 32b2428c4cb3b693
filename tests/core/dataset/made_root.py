"""A data root of tiny studies in RSNA's layout, each as odd as a test wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.dataset.index import DataIndex, build_index
from core.dataset.quality import FLAG_COLUMNS
from core.system.parallel import Workers
from tests.core.dicom.dicom_factory import write_ct_series

HERE = Workers(jobs=1)


def add_study(
    root: Path, study: str, slices: int = 25, edge: int | tuple[int, int] = 4, **options: Any
) -> list[Path]:
    """Write a study of `slices` slices 3 mm apart, 75 mm in all; return its files, head first."""
    rows, cols = (edge, edge) if isinstance(edge, int) else edge
    options = {"spacing_mm": (3.0, 0.5, 0.5), "study_uid": study} | options
    hu = np.zeros((slices, rows, cols), np.int16)
    return write_ct_series(root / "train_images" / study, hu, **options)


def write_labels(root: Path, labels: Mapping[str, Sequence[int]]) -> None:
    """Write `train.csv` with C1..C7 by study."""
    rows = [",".join(map(str, (study, max(y), *y))) for study, y in labels.items()]
    heading = "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7"
    (root / "train.csv").write_text("\n".join([heading, *rows]) + "\n")


def write_boxes(root: Path, boxes: Sequence[tuple[str, int]]) -> None:
    """Write `train_bounding_boxes.csv` with one small box for each (study, slice_number)."""
    rows = [f"{study},0,0,2,2,{number}" for study, number in boxes]
    heading = "StudyInstanceUID,x,y,width,height,slice_number"
    (root / "train_bounding_boxes.csv").write_text("\n".join([heading, *rows]) + "\n")


def index_here(root: Path, **options: Any) -> DataIndex:
    """Index `root` in this process, the cache beside it."""
    return build_index(root, root.parent / "cache", workers=HERE, **options)


def study_of(index: DataIndex, study: str) -> Any:
    """Return a study's row."""
    return index.studies.set_index("study_id").loc[study]


def files_of(index: DataIndex, study: str) -> pd.DataFrame:
    """Return a study's rows of the table of slices, by file."""
    return index.slices[index.slices["study_id"] == study].set_index("file")


def flags_of(index: DataIndex, study: str) -> set[str]:
    """Return the names of a study's flags, without "flag_"."""
    row = study_of(index, study)
    return {name.removeprefix("flag_") for name in FLAG_COLUMNS if row[name]}

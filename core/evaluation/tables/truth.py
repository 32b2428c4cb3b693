"""Truth of studies: fractures and visible vertebrae, from a data root, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.label_table import read_labels
from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dataset.rsna import read_studies
from core.dataset.tables import UID
from core.dicom.series_grid import series_grid
from core.errors import DataRootError
from core.system.parquet import read_parquet
from core.types import StudyId, StudyRecord

TRUTH_FILE: Final = "truth.parquet"
PRESENCE_FILE: Final = "present.parquet"


@dataclass(frozen=True, slots=True, eq=False)
class StudyTruth:
    """Truth of one study.

    Attributes:
        study_id: StudyInstanceUID.
        fractured: bool (7,), y_j for C1..C7.
        presence: bool (n_slices, 7), slice 0 the most cranial; None where there is no mask.
        names: Other names of the study, those of its folders.
    """

    study_id: str
    fractured: NDArray[np.bool_]
    presence: NDArray[np.bool_] | None = None
    names: tuple[str, ...] = ()


def truth_from_data_root(
    root: Path, study_ids: Collection[str] | None = None, *, with_presence: bool = True
) -> list[StudyTruth]:
    """Read labels from `train.csv`, and presence from the masks of the studies asked for.

    Presence is mapped to the slices by DICOM headers alone; no pixel is decoded.

    Args:
        root: Data root in RSNA's layout.
        study_ids: Read these studies only; None means all. Unlabelled studies are left out.
        with_presence: Whether to read masks.

    Raises:
        DataRootError: The root is incomplete or a mask cannot be read.
        DicomSeriesError: A study with a mask cannot be read.
    """
    wanted = None if study_ids is None else set(study_ids)
    truth = []
    for record in read_studies(root):
        if record.fractured is None or (wanted is not None and record.study_id not in wanted):
            continue
        fractured = np.array(record.fractured, dtype=np.bool_)
        presence = _presence(record) if with_presence else None
        truth.append(StudyTruth(record.study_id, fractured, presence, record.names))
    return truth


def truth_from_csv(path: Path) -> list[StudyTruth]:
    """Read a table like RSNA's `train.csv`: StudyInstanceUID, C1..C7, optional patient_overall.

    It is read as the `train.csv` of a data root is, but a wrong row is an error: whoever names one
    file means all of it.

    Raises:
        DataRootError: The file cannot be read, lacks a column, a label is not 0 or 1, a study
            comes twice, or patient_overall is not the maximum of C1..C7.
    """
    found = read_labels(path)
    if found is None:
        raise _absent(path)
    labels, problems = found
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise DataRootError(f"{problems[0]}"[:-1] + f"{more}.")
    _check_ids(path, labels["study_id"], UID)
    flags = labels[list(VERTEBRAE)].to_numpy(np.bool_)
    return [StudyTruth(str(name), row) for name, row in zip(labels["study_id"], flags, strict=True)]


def truth_from_parquet(path: Path, study_ids: Collection[str] | None = None) -> list[StudyTruth]:
    """Read the labels of `truth.parquet`: study_id, y_C1..y_C7, patient_overall.

    Args:
        path: Path of the file.
        study_ids: Studies to read; None means all.

    Raises:
        DataRootError: As `truth_from_csv` describes.
    """
    if not path.is_file():
        raise _absent(path)
    labels = [f"y_{name}" for name in VERTEBRAE]
    table = read_parquet(path, ["study_id", *labels], DataRootError, "write it again")
    return _labels(path, table, "study_id", labels, study_ids)


def _presence(record: StudyRecord) -> NDArray[np.bool_] | None:
    """Presence per slice from the study's mask, bool (n_slices, 7); None without a mask."""
    if record.mask_file is None:
        return None
    mask = load_vertebra_mask(record.mask_file, series_grid(record.folder))
    return presence_from_mask(mask)


def _labels(
    path: Path, table: pd.DataFrame, id_column: str, columns: list[str],
    study_ids: Collection[str] | None = None,
) -> list[StudyTruth]:  # fmt: skip
    identifiers = table[id_column].astype("string")
    if bool(identifiers.isna().any()):
        raise DataRootError(f"{path}: column {id_column} has an empty cell; fill or remove it.")
    _check_ids(path, identifiers, id_column)
    if bool(identifiers.duplicated().any()):
        twice = identifiers.to_list()[int(np.argmax(identifiers.duplicated()))]
        raise DataRootError(f"{path}: study {twice} comes twice; keep one row per study.")
    fractured = _zero_or_one(path, table, columns)
    if "patient_overall" in table.columns:
        overall = _zero_or_one(path, table, ["patient_overall"])[:, 0]
        wrong = np.flatnonzero(overall != fractured.any(axis=1))
        if len(wrong):
            first = identifiers.to_list()[int(wrong[0])]
            raise DataRootError(
                f"{path}: patient_overall of study {first} is not the maximum of C1..C7; "
                "correct that row."
            )
    wanted = None if study_ids is None else set(study_ids)
    return [
        StudyTruth(str(name), row)
        for name, row in zip(identifiers, fractured, strict=True)
        if wanted is None or name in wanted
    ]


def _check_ids(path: Path, names: Iterable[object], column: str) -> None:
    if not all(StudyId.fits(str(name)) for name in names):
        raise DataRootError(
            f"{path}: column {column} holds something other than study ids; correct that column."
        )


def _zero_or_one(path: Path, table: pd.DataFrame, columns: list[str]) -> NDArray[np.bool_]:
    """Return `columns` as bool (rows, columns)."""
    for name in columns:
        if not bool(table[name].isin([0, 1]).all()):
            raise DataRootError(
                f"{path}: column {name} holds something other than 0 and 1; correct that column."
            )
    return table[columns].to_numpy(dtype=np.bool_)


def _absent(path: Path) -> DataRootError:
    return DataRootError(f"{path} does not exist; give a data root, a train.csv or a {TRUTH_FILE}.")

"""What is really fractured and really visible: from a data root, a train.csv or Parquet tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.dataset.masks import load_vertebra_mask, presence_from_mask
from core.dataset.rsna import read_studies
from core.dicom.series_grid import series_grid
from core.errors import DataRootError
from core.system.parquet import read_parquet
from core.types import StudyRecord

TRUTH_FILE: Final = "truth.parquet"
PRESENCE_FILE: Final = "present.parquet"
_PRESENCE_COLUMNS: Final = [f"present_{name}" for name in VERTEBRAE]


@dataclass(frozen=True, slots=True, eq=False)
class StudyTruth:
    """Truth of one study.

    Attributes:
        study_id: StudyInstanceUID.
        fractured: bool (7,), y_j for C1..C7.
        presence: bool (n_slices, 7), slice 0 the most cranial; None where there is no mask.
    """

    study_id: str
    fractured: NDArray[np.bool_]
    presence: NDArray[np.bool_] | None = None


def read_truth(path: Path, study_ids: Collection[str] | None = None) -> list[StudyTruth]:
    """Read truth from whatever `path` is.

    Args:
        path: A data root in RSNA's layout, a folder with or a path of `truth.parquet`, or a
            `train.csv`.
        study_ids: Read these studies only; None means all.

    Raises:
        DataRootError: The path is none of these, or a row is wrong.
        DicomSeriesError: A study with a mask cannot be read.
    """
    if path.is_dir() and (path / TRUTH_FILE).is_file():
        return truth_from_parquet(path / TRUTH_FILE, study_ids)
    if path.is_dir():
        return truth_from_data_root(path, study_ids)
    if path.suffix == ".parquet":
        return truth_from_parquet(path, study_ids)
    return truth_from_csv(path, study_ids)


def truth_from_data_root(
    root: Path, study_ids: Collection[str] | None = None, *, with_presence: bool = True
) -> list[StudyTruth]:
    """Read labels from `train.csv`, and presence from the masks of the studies asked for.

    Presence is mapped to the slices by DICOM headers alone; no pixel is decoded.

    Args:
        root: Data root in RSNA's layout.
        study_ids: Read these studies only; None means all. Unlabelled studies are left out.
        with_presence: Whether to open masks at all.

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
        truth.append(StudyTruth(record.study_id, fractured, presence))
    return truth


def truth_from_csv(path: Path, study_ids: Collection[str] | None = None) -> list[StudyTruth]:
    """Read a table like RSNA's `train.csv`: StudyInstanceUID, C1..C7, optional patient_overall.

    Raises:
        DataRootError: The file cannot be read, lacks a column, a label is not 0 or 1, a study
            comes twice, or patient_overall is not the maximum of C1..C7.
    """
    try:
        table = pd.read_csv(path, dtype={"StudyInstanceUID": "string"})
    except FileNotFoundError as error:
        raise _absent(path) from error
    except (OSError, ValueError) as error:
        raise DataRootError(
            f"{path} cannot be read as CSV; give a table like RSNA's train.csv."
        ) from error
    missing = [name for name in ("StudyInstanceUID", *VERTEBRAE) if name not in table.columns]
    if missing:
        raise DataRootError(f"{path} lacks the column {missing[0]}; add it.")
    return _labels(path, table, "StudyInstanceUID", list(VERTEBRAE), study_ids)


def truth_from_parquet(
    path: Path, study_ids: Collection[str] | None = None, *, with_presence: bool = True
) -> list[StudyTruth]:
    """Read `truth.parquet` (study_id, y_C1..y_C7, patient_overall), and presence beside it.

    `present.parquet`, where it lies in the same folder, has one row a slice: study_id,
    slice_index, present_C1..present_C7.

    Args:
        path: The file.
        study_ids: Read these studies only; None means all.
        with_presence: Whether to look for `present.parquet` at all.

    Raises:
        DataRootError: As `truth_from_csv` describes, or the slices of a study are not 0..n-1.
    """
    if not path.is_file():
        raise _absent(path)
    labels = [f"y_{name}" for name in VERTEBRAE]
    table = read_parquet(path, ["study_id", *labels], DataRootError, "write it again")
    truth = _labels(path, table, "study_id", labels, study_ids)
    beside = path.with_name(PRESENCE_FILE)
    if not with_presence or not beside.is_file():
        return truth
    columns = ["study_id", "slice_index", *_PRESENCE_COLUMNS]
    rows = read_parquet(beside, columns, DataRootError, "write it again")
    by_study = {str(name): part for name, part in rows.groupby("study_id", sort=False)}
    return [
        StudyTruth(study.study_id, study.fractured, _presence_rows(beside, study.study_id, part))
        if (part := by_study.get(study.study_id)) is not None
        else study
        for study in truth
    ]


def _presence(record: StudyRecord) -> NDArray[np.bool_] | None:
    """Presence per slice from the study's mask, bool (n_slices, 7); None without a mask."""
    if record.mask_file is None:
        return None
    mask = load_vertebra_mask(record.mask_file, series_grid(record.folder))
    return presence_from_mask(mask)


def _presence_rows(path: Path, study_id: str, rows: pd.DataFrame) -> NDArray[np.bool_]:
    rows = rows.sort_values("slice_index", kind="stable")
    if not np.array_equal(rows["slice_index"].to_numpy(), np.arange(len(rows))):
        raise DataRootError(
            f"{path}: column slice_index of study {study_id} is not 0..{len(rows) - 1}, each once; "
            "mend those rows."
        )
    return _zero_or_one(path, rows, _PRESENCE_COLUMNS)


def _labels(
    path: Path, table: pd.DataFrame, id_column: str, columns: list[str],
    study_ids: Collection[str] | None,
) -> list[StudyTruth]:  # fmt: skip
    identifiers = table[id_column].astype("string")
    if bool(identifiers.isna().any()):
        raise DataRootError(f"{path}: column {id_column} has an empty cell; fill or remove it.")
    if bool(identifiers.duplicated().any()):
        twice = identifiers.to_list()[int(np.argmax(identifiers.duplicated()))]
        raise DataRootError(f"{path}: study {twice} comes twice; keep one row a study.")
    fractured = _zero_or_one(path, table, columns)
    if "patient_overall" in table.columns:
        overall = _zero_or_one(path, table, ["patient_overall"])[:, 0]
        wrong = np.flatnonzero(overall != fractured.any(axis=1))
        if len(wrong):
            first = identifiers.to_list()[int(wrong[0])]
            raise DataRootError(
                f"{path}: patient_overall of study {first} is not the maximum of C1..C7; "
                "mend that row."
            )
    wanted = None if study_ids is None else set(study_ids)
    return [
        StudyTruth(str(name), row)
        for name, row in zip(identifiers, fractured, strict=True)
        if wanted is None or name in wanted
    ]


def _zero_or_one(path: Path, table: pd.DataFrame, columns: list[str]) -> NDArray[np.bool_]:
    """Return `columns` as bool (rows, columns)."""
    for name in columns:
        if not bool(table[name].isin([0, 1]).all()):
            raise DataRootError(
                f"{path}: column {name} holds something other than 0 and 1; mend that column."
            )
    return table[columns].to_numpy(dtype=np.bool_)


def _absent(path: Path) -> DataRootError:
    return DataRootError(f"{path} does not exist; give a data root, a train.csv or a {TRUTH_FILE}.")

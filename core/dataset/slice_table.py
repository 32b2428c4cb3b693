"""The tables of a data root joined to the index's table of slices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.dataset.csv_table import TableProblem, check_table
from core.dataset.rsna import BOXES_FILE, DataSet, boxes_by_study
from core.dataset.tables import LABEL_COLUMNS, PLACED_BOXES
from core.errors import DataRootError
from core.types import CTVolume

_NEEDED: Final = (
    "study_id", "file", "instance_number", "frame", "slice_index", "role", "z_mm", "rows", "cols",
)  # fmt: skip


def check_boxes(data_set: DataSet, slices: pd.DataFrame) -> DataSet:
    """Leave out boxes whose slice does not exist or that reach past their image.

    Boxes of studies that the index does not list are not checked.

    Args:
        data_set: From `read_data_set`.
        slices: The index's table, one row per slice: study_id, file, instance_number, frame,
            slice_index, role, z_mm, rows, cols.

    Returns:
        The data set without those boxes, each named in `problems`.

    Raises:
        DataRootError: `slices` lacks a column.
    """
    placed = boxes_on_slices(data_set, slices)
    indexed = placed.loc[placed["study_id"].isin(list(slices["study_id"].unique()))]
    path = data_set.root / BOXES_FILE
    good, problems = check_table(indexed.set_index("line"), PLACED_BOXES, path)
    if not problems:
        return data_set
    wrong = set(indexed["line"]) - set(good.index)
    boxes = data_set.boxes.loc[~data_set.boxes["line"].isin(list(wrong))].reset_index(drop=True)
    by_study = boxes_by_study(boxes)
    return replace(
        data_set,
        boxes=boxes,
        studies=[replace(s, boxes=by_study.get(s.study_id, ())) for s in data_set.studies],
        problems=_without_removed(data_set.problems, wrong, path) + problems,
    )


def boxes_on_slices(data_set: DataSet, slices: pd.DataFrame) -> pd.DataFrame:
    """Join every box with the index's row of its slice.

    A box's slice_number is the DICOM file's number: `<k>.dcm`, else InstanceNumber; in a file of
    several frames it is the number of the frame, from 1. A box on a slice that repeats a position
    belongs to the slice that stands for that position.

    Args:
        data_set: From `read_data_set`.
        slices: As for `check_boxes`.

    Returns:
        `DataSet.boxes`, same rows, with role, slice_index (-1 if the slice is not part of the
        volume), z_mm, rows and cols; role is None and the sizes NaN if there is no such slice.

    Raises:
        DataRootError: `slices` lacks a column.
    """
    _require_columns(slices)
    boxes = data_set.boxes
    files = slices.loc[slices["study_id"].isin(list(set(boxes["study_id"]))), list(_NEEDED)]
    files = files.assign(
        study_id=files["study_id"].astype(object),
        role=files["role"].astype(object),
        slice_number=file_numbers(files),
    )
    # If two files have the same number, a slice of the volume is preferred.
    files = files.sort_values("slice_index", ascending=False, kind="stable")
    files = files.drop_duplicates(["study_id", "slice_number"])
    columns = ["study_id", "slice_number", "role", "slice_index", "z_mm", "rows", "cols"]
    placed = boxes.merge(files[columns], on=["study_id", "slice_number"], how="left")
    placed["role"] = placed["role"].astype(object).where(placed["role"].notna(), None)
    placed["slice_index"] = placed["slice_index"].fillna(-1).astype(np.int64)
    twins = (placed["role"] == "duplicate").to_numpy()
    if twins.any():
        placed.loc[twins, "slice_index"] = _slice_at(placed.loc[twins], files)
    return placed


def labelled_slices(data_set: DataSet, slices: pd.DataFrame) -> pd.DataFrame:
    """List the slices of all volumes with their study's labels and whether they carry a box.

    Args:
        data_set: From `read_data_set`, preferably from `check_boxes`.
        slices: As for `check_boxes`.

    Returns:
        The rows of `slices` with role "slice" and their columns, in their order, with
        patient_overall and C1..C7 (nullable boolean, missing if the study is unlabelled) and
        boxed (bool).

    Raises:
        DataRootError: `slices` lacks a column.
    """
    _require_columns(slices)
    table = slices.loc[slices["role"] == "slice"].reset_index(drop=True)
    code, studies = pd.factorize(table["study_id"])
    labels = data_set.labels
    row = _places(studies, labels["study_id"])[code]
    added: dict[str, Any] = {}
    for name in LABEL_COLUMNS:
        values = np.append(labels[name].to_numpy(np.bool_), False)
        added[name] = pd.arrays.BooleanArray(values[row], row < 0)
    placed = boxes_on_slices(data_set, slices)
    placed = placed.loc[placed["slice_index"] >= 0]
    keys = pd.Series(_slice_keys(code, table["slice_index"]))
    boxed = _slice_keys(_places(placed["study_id"], studies), placed["slice_index"])
    return table.assign(**added, boxed=keys.isin(boxed.tolist()))


def file_numbers(slices: pd.DataFrame) -> NDArray[np.int64]:
    """Return each row's DICOM file number: k of `<k>.dcm`, else its instance_number; int64 (n,).

    The frames of one file have instance numbers only.
    """
    instances = slices["instance_number"].fillna(-1).to_numpy(np.int64)
    # Studies share their file names, so there are few distinct ones.
    code, names = pd.factorize(slices["file"])
    last = [str(name).rpartition("/")[2] for name in names]
    by_name = np.array([_digits(name) for name in last], np.int64)[code]
    frames = slices["frame"].to_numpy(np.int64)
    return np.where((by_name < 0) | (frames > 0), instances, by_name)


def volume_file_numbers(volume: CTVolume) -> NDArray[np.int64]:
    """Return the number of each slice that a volume was made from, as `file_numbers` does.

    Returns:
        int64 (n_files,).
    """
    files = volume.source_files
    has_frames = len(set(files)) < len(files)
    by_name = np.array([-1 if has_frames else _digits(path.name) for path in files], np.int64)
    return np.where(by_name < 0, np.array(volume.instance_numbers, np.int64), by_name)


def _digits(name: str) -> int:
    """Return k of `<k>.dcm`, -1 for another name."""
    stem = name.removesuffix(".dcm")
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 19 else -1


def _require_columns(slices: pd.DataFrame) -> None:
    missing = [name for name in _NEEDED if name not in slices.columns]
    if missing:
        raise DataRootError(
            f"The index lacks the column {', '.join(missing)}; build it again with "
            "`python -m core index`."
        )


def _without_removed(
    problems: list[TableProblem],
    lines: set[int],
    path: Any,  # noqa: ANN401
) -> list[TableProblem]:
    """Drop problems of boxes that were kept but are now left out."""
    return [p for p in problems if not (p.kept and p.file == path and p.line in lines)]


def _slice_at(twins: pd.DataFrame, files: pd.DataFrame) -> NDArray[np.int64]:
    """Return slice_index of the slice nearest to each row's position in its study, int64 (n,)."""
    slices = files.loc[files["role"] == "slice", ["study_id", "z_mm", "slice_index"]]
    order = np.argsort(twins["z_mm"].to_numpy(np.float64), kind="stable")
    near = pd.merge_asof(
        twins.iloc[order][["study_id", "z_mm"]].astype({"z_mm": np.float64}),
        slices.astype({"z_mm": np.float64}).sort_values("z_mm"),
        on="z_mm", by="study_id", direction="nearest",
    )  # fmt: skip
    found = np.empty(len(twins), np.int64)
    found[order] = near["slice_index"].fillna(-1).to_numpy(np.int64)
    return found


def _places(studies: Any, known: Any) -> NDArray[np.int64]:  # noqa: ANN401 - array-likes of text
    """Return the place of each study in `known`, -1 if it is not among them; int64 (n,)."""
    return pd.Index(known).astype(object).get_indexer(pd.Index(studies).astype(object))


def _slice_keys(study: NDArray[np.int64], slice_index: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Return a number that identifies the study and the slice, int64 (n,)."""
    return study.astype(np.int64) * (1 << 32) + slice_index.to_numpy(np.int64)

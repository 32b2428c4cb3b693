"""The layout of the RSNA 2022 Cervical Spine Fracture Detection data set."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.csv_table import RAGGED, TableProblem, check_table, numbers, read_table
from core.dataset.tables import BOX_COLUMNS, BOXES, LABEL_COLUMNS, LABELS, UID
from core.errors import DataRootError
from core.types import StudyRecord, TableBox

logger = logging.getLogger(__name__)

LABELS_FILE: Final = "train.csv"
BOXES_FILE: Final = "train_bounding_boxes.csv"
IMAGES_FOLDER: Final = "train_images"
MASKS_FOLDER: Final = "segmentations"
LINES_FOLDER: Final = "fracture_masks"
"""Exists only in a synthetic data root."""


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """The studies of a data root, the rows of its tables, and the problems found in them.

    Attributes:
        root: The data root.
        studies: Sorted by study id.
        problems: Label rows first, then boxes, then masks; by line.
        labels: One row per labelled study: study_id, line (in `train.csv`), patient_overall and
            C1..C7 as bool.
        boxes: One row per box: study_id, line (in `train_bounding_boxes.csv`), slice_number int64,
            left, top, right, bottom in pixels, float64.
    """

    root: Path
    studies: list[StudyRecord]
    problems: list[TableProblem]
    labels: pd.DataFrame
    boxes: pd.DataFrame


def read_studies(data_root: Path) -> list[StudyRecord]:
    """List the studies under `train_images/` with their labels, boxes and masks.

    As `read_data_set`; its problems are counted in one logged warning that names the first.

    Returns:
        Sorted by study id.

    Raises:
        DataRootError: There are no studies, or a table cannot be read or lacks columns.
    """
    data_set = read_data_set(data_root)
    if problems := data_set.problems:
        first = problems[0]
        # A mask is named after its study, which must not be logged.
        name = MASKS_FOLDER if first.line is None else first.file.name
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        logger.warning("The data set has problems: %s%s", first.sentence(name), more)
    return data_set.studies


def read_data_set(data_root: Path) -> DataSet:
    """Read the studies under `train_images/`, and the valid rows of their tables and masks.

    A study without a valid row in `train.csv` is unlabelled, and so is every study if there is no
    `train.csv`. An invalid box is left out. Both are listed in `problems`; rows and masks without
    a study folder are one problem per table. `core.dataset.slice_table.check_boxes`, which needs
    the index, checks whether a box fits its slice.

    Raises:
        DataRootError: There are no studies, or a table cannot be read or lacks columns.
    """
    if not data_root.is_dir():
        raise DataRootError(f"There is no folder {data_root}; check the path of the data root.")
    folders = _study_folders(data_root)
    labels, label_problems = _read_labels(data_root / LABELS_FILE, folders)
    boxes, box_problems = _read_boxes(data_root / BOXES_FILE, folders)
    masks, mask_problems = _find_masks(data_root / MASKS_FOLDER, folders)
    fractured = {
        str(study): tuple(row)
        for study, row in zip(
            labels["study_id"], labels[list(VERTEBRAE)].to_numpy().tolist(), strict=True
        )
    }
    by_study = boxes_by_study(boxes)
    intact = {study for study, flags in fractured.items() if not any(flags)}
    disagreeing = _boxes_of_intact(data_root / BOXES_FILE, boxes, intact)
    return DataSet(
        root=data_root,
        studies=[
            StudyRecord(
                study_id=study,
                folder=folders[study],
                fractured=fractured.get(study),
                boxes=by_study.get(study, ()),
                mask_file=masks.get(study),
            )
            for study in sorted(folders)
        ],
        problems=[*label_problems, *box_problems, *disagreeing, *mask_problems],
        labels=labels,
        boxes=boxes,
    )


def boxes_by_study(boxes: pd.DataFrame) -> dict[str, tuple[TableBox, ...]]:
    """Gather `DataSet.boxes` as `StudyRecord.boxes`, in the order of the table's lines."""
    found: dict[str, list[TableBox]] = defaultdict(list)
    edges = boxes[["left", "top", "right", "bottom"]].to_numpy().tolist()
    for study, number, xyxy in zip(boxes["study_id"], boxes["slice_number"], edges, strict=True):
        found[study].append((int(number), tuple(xyxy)))
    return {study: tuple(rows) for study, rows in found.items()}


def is_synthetic(data_root: Path) -> bool:
    """Whether the data root was generated, not scanned."""
    return (data_root / "phantom.json").is_file()


def _study_folders(data_root: Path) -> dict[str, Path]:
    images = data_root / IMAGES_FOLDER
    try:
        with os.scandir(images) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]
    except OSError as error:
        raise DataRootError(
            f"{data_root} has no readable folder {IMAGES_FOLDER}; give the folder that holds "
            f"{IMAGES_FOLDER}/<{UID}>/."
        ) from error
    if not names:
        raise DataRootError(f"{images} holds no study folders; put one folder per study there.")
    return {name: images / name for name in names}


def _read_labels(path: Path, folders: Collection[str]) -> tuple[pd.DataFrame, list[TableProblem]]:
    """Return `DataSet.labels` and the problems of `train.csv`."""
    table = read_table(path, (UID, *LABEL_COLUMNS))
    if table is None:
        return _empty({"study_id": object, "line": np.int64} | dict.fromkeys(LABEL_COLUMNS, bool))
    table, problems = check_table(numbers(table, LABEL_COLUMNS), LABELS, path)
    table, problem = _with_folder(table, path, folders)
    labels = table.astype(dict.fromkeys(LABEL_COLUMNS, np.bool_)).reset_index()
    labels = labels.rename(columns={UID: "study_id"}).drop(columns=RAGGED)
    return labels, [*problems, *problem]


def _read_boxes(path: Path, folders: Collection[str]) -> tuple[pd.DataFrame, list[TableProblem]]:
    """Return `DataSet.boxes` and the problems of `train_bounding_boxes.csv`."""
    table = read_table(path, (UID, *BOX_COLUMNS))
    edges = ("left", "top", "right", "bottom")
    if table is None:
        types: dict[str, Any] = {"study_id": object, "line": np.int64, "slice_number": np.int64}
        return _empty(types | dict.fromkeys(edges, np.float64))
    table, problems = check_table(numbers(table, BOX_COLUMNS), BOXES, path)
    table, problem = _with_folder(table, path, folders)
    boxes = pd.DataFrame(
        {
            "study_id": table[UID],
            "line": table.index,
            "slice_number": table["slice_number"].astype(np.int64),
            "left": table["x"],
            "top": table["y"],
            "right": table["x"] + table["width"],
            "bottom": table["y"] + table["height"],
        }
    ).reset_index(drop=True)
    return boxes, [*problems, *problem]


def _empty(types: dict[str, Any]) -> tuple[pd.DataFrame, list[TableProblem]]:
    return pd.DataFrame({name: np.empty(0, kind) for name, kind in types.items()}), []


def _with_folder(
    table: pd.DataFrame, path: Path, folders: Collection[str]
) -> tuple[pd.DataFrame, list[TableProblem]]:
    """Leave out rows without a study folder; incomplete copies of the data set are common."""
    absent = ~np.asarray(table[UID].isin(list(folders)))
    if not absent.any():
        return table, []
    studies = len(set(table.loc[absent, UID]))
    problem = TableProblem(
        path,
        int(table.index.to_numpy()[absent][0]),
        UID,
        f"the first of {studies} studies without a folder in {IMAGES_FOLDER}" if studies > 1
        else f"its study has no folder in {IMAGES_FOLDER}",
        "copy what is missing, or leave it if only a part is wanted",
    )  # fmt: skip
    return table.loc[~absent], [problem]


def _boxes_of_intact(
    path: Path, boxes: pd.DataFrame, intact: Iterable[Hashable]
) -> list[TableProblem]:
    """Return one problem for each study that has boxes but is labelled as not fractured."""
    doubtful = boxes.loc[boxes["study_id"].isin(list(intact))].drop_duplicates("study_id")
    return [
        TableProblem(
            path, int(line), UID, f"{LABELS_FILE} labels the study of this box as not fractured",
            "correct the label or remove its boxes", kept=True,
        )
        for line in doubtful["line"]
    ]  # fmt: skip


def lines_file(record: StudyRecord) -> Path | None:
    """File of a study's fracture mask; only a synthetic data root has them."""
    if record.folder.parent.name != IMAGES_FOLDER:
        return None
    path = record.folder.parent.parent / LINES_FOLDER / f"{record.study_id}.nii.gz"
    return path if path.is_file() else None


def _find_masks(
    folder: Path, folders: Collection[str]
) -> tuple[dict[str, Path], list[TableProblem]]:
    """Return mask files by study, and problems; a plain `.nii` takes precedence over `.nii.gz`."""
    found: dict[str, Path] = {}
    problems: list[TableProblem] = []
    for ending in (".nii.gz", ".nii"):
        for path in sorted(folder.glob(f"*{ending}")):
            if path.name.startswith("."):
                continue
            study = path.name.removesuffix(ending)
            if study in found:
                problems.append(
                    TableProblem(
                        found[study], None, None, f"the same mask also exists as {ending}",
                        "keep one of them",
                    )
                )  # fmt: skip
            found[study] = path
    absent = sorted(found.keys() - set(folders))
    if absent:
        problem = f"the first of {len(absent)} masks whose study has no folder in {IMAGES_FOLDER}"
        remedy = "copy what is missing, or leave it if only a part is wanted"
        problems.append(TableProblem(found[absent[0]], None, None, problem, remedy))
    return found, problems

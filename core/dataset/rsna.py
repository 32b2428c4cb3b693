"""The layout of the RSNA 2022 Cervical Spine Fracture Detection data set."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from core.constants import VERTEBRAE
from core.dataset.csv_table import TableProblem
from core.dataset.label_table import (
    as_known,
    named_studies,
    no_boxes,
    no_labels,
    read_boxes,
    read_labels,
)
from core.dataset.study_folders import StudyFolder, group_folders
from core.dataset.tables import UID
from core.errors import DataRootError
from core.types import StudyRecord, TableBox

logger = logging.getLogger(__name__)

LABELS_FILE: Final = "train.csv"
BOXES_FILE: Final = "train_bounding_boxes.csv"
IMAGES_FOLDER: Final = "train_images"
MASKS_FOLDER: Final = "segmentations"
LINES_FOLDER: Final = "fracture_masks"
"""Exists only in a synthetic data root."""

_Reader = Callable[[Path], tuple[pd.DataFrame, list[TableProblem]] | None]


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

    A study is known by the StudyInstanceUID of its files, by the folder's name where no file states
    one; tables and masks may use either. A study without a valid row in `train.csv` is unlabelled,
    and so is every study if there is no `train.csv`. An invalid box is left out. Both are listed in
    `problems`; rows and masks without a study folder are one problem per table.
    `core.dataset.slice_table.check_boxes`, which needs the index, checks whether a box fits its
    slice.

    Raises:
        DataRootError: There are no studies, or a table cannot be read or lacks columns.
    """
    if not data_root.is_dir():
        raise DataRootError(f"There is no folder {data_root}; check the path of the data root.")
    children = _children(data_root)
    tables = (data_root / LABELS_FILE, data_root / BOXES_FILE)
    folders = {study.study_id: study for study in group_folders(children, named_studies(tables))}
    ids = _ids_by_name(folders.values())
    labels, label_problems = _of_studies(tables[0], ids, read_labels, no_labels)
    boxes, box_problems = _of_studies(tables[1], ids, read_boxes, no_boxes)
    masks, mask_problems = _find_masks(data_root / MASKS_FOLDER, ids)
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
                folder=folders[study].folder,
                fractured=fractured.get(study),
                boxes=by_study.get(study, ()),
                mask_file=masks.get(study),
                names=folders[study].names,
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


def record_of(folder: Path) -> tuple[StudyRecord | None, bool]:
    """Find the entry of a study whose folder lies in a data root, and whether that is synthetic."""
    place = folder.resolve()
    images = next((above for above in place.parents if above.name == IMAGES_FOLDER), None)
    if images is None:
        return None, False
    try:
        records = read_studies(images.parent)
    except DataRootError:
        return None, False
    child = place.relative_to(images).parts[0]
    found = next((record for record in records if child in record.names), None)
    return found, is_synthetic(images.parent)


def _children(data_root: Path) -> list[Path]:
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
    return [images / name for name in sorted(names)]


def _ids_by_name(studies: Iterable[StudyFolder]) -> dict[str, str]:
    """Return the study id by every name that a table may use: the id, or its folder's name."""
    every = list(studies)
    by_folder = {name: study.study_id for study in every for name in study.names}
    return by_folder | {study.study_id: study.study_id for study in every}


def _of_studies(
    path: Path, ids: Mapping[str, str], read: _Reader, nothing: Callable[[], pd.DataFrame]
) -> tuple[pd.DataFrame, list[TableProblem]]:
    """Read a table and leave out rows without a study folder; incomplete copies are common."""
    found = read(path)
    if found is None:
        return nothing(), []
    table, problems = found
    names = as_known(table["study_id"].tolist(), ids)
    table = table.assign(study_id=[ids.get(name, name) for name in names])
    absent = ~np.asarray(table["study_id"].isin(list(ids.values())))
    if not absent.any():
        return table, problems
    studies = len(set(table.loc[absent, "study_id"]))
    problem = TableProblem(
        path,
        int(table["line"].to_numpy()[absent][0]),
        UID,
        f"the first of {studies} studies without a folder in {IMAGES_FOLDER}" if studies > 1
        else f"its study has no folder in {IMAGES_FOLDER}",
        "copy what is missing, or leave it if only a part is wanted",
    )  # fmt: skip
    return table.loc[~absent].reset_index(drop=True), [*problems, problem]


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
    images = next((above for above in record.folder.parents if above.name == IMAGES_FOLDER), None)
    if images is None:
        return None
    path = images.parent / LINES_FOLDER / f"{record.study_id}.nii.gz"
    return path if path.is_file() else None


def _find_masks(folder: Path, ids: Mapping[str, str]) -> tuple[dict[str, Path], list[TableProblem]]:
    """Return mask files by study, and problems; of several, `.nii`, `.nii.gz`, then `.dcm`."""
    found: dict[str, Path] = {}
    problems: list[TableProblem] = []
    for ending in (".dcm", ".nii.gz", ".nii"):
        for path in sorted(folder.glob(f"*{ending}")):
            if path.name.startswith("."):
                continue
            name = path.name.removesuffix(ending)
            study = ids.get(as_known([name], ids)[0], name)
            if study in found:
                problems.append(
                    TableProblem(
                        found[study], None, None, f"the same mask also exists as {ending}",
                        "keep one of them",
                    )
                )  # fmt: skip
            found[study] = path
    absent = sorted(found.keys() - set(ids.values()))
    if absent:
        problem = f"the first of {len(absent)} masks whose study has no folder in {IMAGES_FOLDER}"
        remedy = "copy what is missing, or leave it if only a part is wanted"
        problems.append(TableProblem(found[absent[0]], None, None, problem, remedy))
    return found, problems

"""The layout of the RSNA 2022 Cervical Spine Fracture Detection data set."""

from __future__ import annotations

import csv
import logging
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from core.constants import VERTEBRAE
from core.errors import DataRootError
from core.types import StudyRecord

logger = logging.getLogger(__name__)

_LABELS: Final = "train.csv"
_BOXES: Final = "train_bounding_boxes.csv"
_IMAGES: Final = "train_images"
_MASKS: Final = "segmentations"
_UID: Final = "StudyInstanceUID"
_OVERALL: Final = "patient_overall"
_BOX_COLUMNS: Final = ("x", "y", "width", "height", "slice_number")

Box = tuple[int, tuple[float, float, float, float]]


def read_studies(data_root: Path) -> list[StudyRecord]:
    """List the studies under `train_images/` with what the tables say of them.

    A study without a row in `train.csv` is unlabelled, and so is every study where there is no
    `train.csv`. Rows without a folder are skipped and counted in a logged warning.

    Returns:
        Sorted by study id.

    Raises:
        DataRootError: No studies, or a table with missing columns or a wrong value; names the
            file and the line.
    """
    if not data_root.is_dir():
        raise DataRootError(f"There is no folder {data_root}; check the path of the data root.")
    folders = _study_folders(data_root)
    labels = _read_labels(data_root / _LABELS)
    boxes = _read_boxes(data_root / _BOXES)
    masks = _mask_files(data_root / _MASKS)
    for name, studies in ((_LABELS, labels), (_BOXES, boxes)):
        absent = len(studies.keys() - folders.keys())
        if absent:
            logger.warning("%s names %d studies without a folder; skipped.", name, absent)
    return [
        StudyRecord(
            study_id=study,
            folder=folders[study],
            fractured=labels.get(study),
            boxes=tuple(boxes.get(study, ())),
            mask_file=masks.get(study),
        )
        for study in sorted(folders)
    ]


def is_synthetic(data_root: Path) -> bool:
    """Whether the data root was generated, not scanned."""
    return (data_root / "phantom.json").is_file()


def _study_folders(data_root: Path) -> dict[str, Path]:
    images = data_root / _IMAGES
    try:
        entries = list(images.iterdir())
    except OSError as error:
        raise DataRootError(
            f"{data_root} has no readable folder {_IMAGES}; give the folder that holds "
            f"{_IMAGES}/<{_UID}>/."
        ) from error
    folders = {e.name: e for e in entries if e.is_dir() and not e.name.startswith(".")}
    if not folders:
        raise DataRootError(f"{images} holds no study folders; put one folder a study there.")
    return folders


def _mask_files(folder: Path) -> dict[str, Path]:
    """Return mask files by study; a plain `.nii` wins over a `.nii.gz`."""
    found: dict[str, Path] = {}
    for ending in (".nii.gz", ".nii"):
        for path in folder.glob(f"*{ending}"):
            if not path.name.startswith("."):
                found[path.name.removesuffix(ending)] = path
    return found


def _read_labels(path: Path) -> dict[str, tuple[bool, ...]]:
    labels: dict[str, tuple[bool, ...]] = {}
    for line, row in _rows(path, (_UID, _OVERALL, *VERTEBRAE)):
        study = row[_UID]
        if study in labels:
            raise _row_error(path, line, "the study stands in an earlier line too", "remove one")
        fractured = tuple(_flag(path, line, name, row[name]) for name in VERTEBRAE)
        if _flag(path, line, _OVERALL, row[_OVERALL]) != any(fractured):
            raise _row_error(
                path, line, f"{_OVERALL} is not the largest of C1..C7", "mend the labels"
            )
        labels[study] = fractured
    return labels


def _read_boxes(path: Path) -> dict[str, list[Box]]:
    boxes: dict[str, list[Box]] = defaultdict(list)
    for line, row in _rows(path, (_UID, *_BOX_COLUMNS)):
        x, y, width, height, number = (_number(path, line, n, row[n]) for n in _BOX_COLUMNS)
        if width <= 0 or height <= 0:
            raise _row_error(path, line, "width and height must be above 0", "mend the box")
        if number != int(number) or number < 0:
            raise _row_error(path, line, "slice_number must be a whole number", "mend it")
        boxes[row[_UID]].append((int(number), (x, y, x + width, y + height)))
    return boxes


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line in the file, row) with `columns` all there; nothing where there is no file."""
    try:
        # A byte-order mark is what spreadsheets put first.
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataRootError(
                    f"{path}, line 1: no column {', '.join(missing)}; add it to the heading."
                )
            for row in reader:
                if any(row[name] is None for name in columns):
                    raise _row_error(path, reader.line_num, "it has too few values", "fill them in")
                yield reader.line_num, {name: row[name].strip() for name in columns}
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataRootError(f"{path} cannot be read as a CSV table; write it as UTF-8.") from error


def _flag(path: Path, line: int, column: str, value: str) -> bool:
    if value not in ("0", "1", "0.0", "1.0"):
        raise _row_error(path, line, f"{column} must be 0 or 1", "mend the value")
    return value.startswith("1")


def _number(path: Path, line: int, column: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _row_error(path, line, f"{column} is not a number", "mend the value")
    return number


def _row_error(path: Path, line: int, problem: str, mend: str) -> DataRootError:
    return DataRootError(f"{path}, line {line}: {problem}; {mend}.")

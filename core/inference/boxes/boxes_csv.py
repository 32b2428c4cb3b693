"""`boxes.csv`: the boxes of a prediction, in the columns of RSNA's own table with a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from core.dataset.csv_reader import RAGGED, numbers, read_table
from core.dataset.slice_table import volume_file_numbers
from core.dataset.tables import BOX_COLUMNS, UID
from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.errors import DataRootError, PredictionsError
from core.inference.boxes.tracks import Detections, FusionSettings, detect
from core.system.atomic_files import write_text
from core.system.csv_text import table_csv
from core.types import CTVolume, FileBox, RawDetections

BOXES_FILE: Final = "boxes.csv"
BOXES_COLUMNS: Final = (UID, *BOX_COLUMNS, "score")


def file_boxes(found: Detections, volume: CTVolume) -> tuple[FileBox, ...]:
    """Map boxes from the volume's slices to the pixels of the original files.

    Args:
        found: Boxes of the study.
        volume: The study, in whatever orientation its files are stored.

    Returns:
        One box per file that a box crosses: as many as were found if the files are axial slices.
    """
    numbers = volume_file_numbers(volume)
    boxes = BoxMapping.of(volume).to_files(PlaneBoxes(found.slice_index, found.xyxy, found.scores))
    return tuple(
        FileBox(int(numbers[i]), (left, top, right, bottom), score)
        for i, (left, top, right, bottom), score in zip(
            boxes.index.tolist(), boxes.xyxy.tolist(), boxes.scores.tolist(), strict=True
        )
    )


def boxes_from(raw: RawDetections, volume: CTVolume, threshold: float) -> tuple[FileBox, ...]:
    """Fuse raw boxes and map those that score at least `threshold` to the original files.

    Args:
        raw: Raw boxes of the study, in pixels of the volume's slices.
        volume: The study.
        threshold: Lowest score of a box that counts.
    """
    return file_boxes(detect(raw, FusionSettings()).above(threshold), volume)


def write_boxes(folder: Path, boxes: Mapping[str, Sequence[FileBox]]) -> None:
    """Write `boxes.csv` atomically; x and y are the upper left corner, rounded to 0.01 pixels.

    Args:
        folder: Output folder, made if missing.
        boxes: Boxes by study id, in the order of the file.

    Raises:
        StorageError: The file cannot be written.
    """
    rows = (
        [study_id, f"{x:.2f}", f"{y:.2f}", f"{right - x:.2f}", f"{bottom - y:.2f}",
         box.slice_number, f"{box.score:.4f}"]
        for study_id, found in boxes.items()
        for box in found
        for x, y, right, bottom in (box.xyxy,)
    )  # fmt: skip
    write_text(folder / BOXES_FILE, table_csv(BOXES_COLUMNS, rows))


def read_boxes(folder: Path) -> dict[str, tuple[FileBox, ...]]:
    """Read `boxes.csv`, by study id.

    Raises:
        PredictionsError: The file is missing, lacks a column or holds non-numeric values.
    """
    file = folder / BOXES_FILE
    try:
        table = read_table(file, BOXES_COLUMNS, remedy="run predict again to rewrite it")
    except DataRootError as error:
        raise PredictionsError(str(error)) from error
    if table is None:
        raise PredictionsError(f"{file} does not exist; give a folder that predict has written.")
    values = numbers(table, BOXES_COLUMNS[1:])[list(BOXES_COLUMNS[1:])].to_numpy(np.float64)
    wrong = ~np.isfinite(values).all(axis=1) | (table[RAGGED].to_numpy() != 0)
    if wrong.any():
        raise PredictionsError(
            f"{file}, line {table.index.to_numpy()[wrong][0]}: a value is missing or not a number; "
            "run predict again to rewrite it."
        )
    found: dict[str, list[FileBox]] = {}
    for study_id, (x, y, width, height, number, score) in zip(
        table[UID], values.tolist(), strict=True
    ):
        box = FileBox(int(number), (x, y, x + width, y + height), score)
        found.setdefault(str(study_id), []).append(box)
    return {study_id: tuple(rows) for study_id, rows in found.items()}

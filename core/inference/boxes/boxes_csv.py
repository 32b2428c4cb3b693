"""`boxes.csv`: the boxes of a prediction, in the columns of RSNA's own table with a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from core.dataset.slice_table import volume_file_numbers
from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.errors import PredictionsError
from core.inference.boxes.tracks import Detections
from core.system.atomic_files import write_text
from core.types import CTVolume, FileBox

BOXES_FILE: Final = "boxes.csv"
BOXES_HEADER: Final = "StudyInstanceUID,x,y,width,height,slice_number,score"


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


def write_boxes(folder: Path, boxes: Mapping[str, Sequence[FileBox]]) -> None:
    """Write `boxes.csv` atomically; x and y are the upper left corner, rounded to 0.01 pixels.

    Args:
        folder: Output folder, made if missing.
        boxes: Boxes by study id, in the order of the file.

    Raises:
        StorageError: The file cannot be written.
    """
    lines = [BOXES_HEADER]
    for study_id, rows in boxes.items():
        for box in rows:
            x, y, right, bottom = box.xyxy
            lines.append(
                f"{study_id},{x:.2f},{y:.2f},{right - x:.2f},{bottom - y:.2f},"
                f"{box.slice_number},{box.score:.4f}"
            )
    write_text(folder / BOXES_FILE, "\n".join(lines) + "\n")


def read_boxes(folder: Path) -> dict[str, tuple[FileBox, ...]]:
    """Read `boxes.csv`, by study id.

    Raises:
        PredictionsError: The file is missing, lacks a column or holds non-numeric values.
    """
    file = folder / BOXES_FILE
    try:
        table = pd.read_csv(file, dtype={"StudyInstanceUID": str})
        numbers = table[BOXES_HEADER.split(",")[1:]].to_numpy(np.float64)
    except FileNotFoundError as error:
        raise PredictionsError(
            f"{file} does not exist; give a folder that predict has written."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{file} does not hold {BOXES_HEADER}; run predict again to rewrite it."
        ) from error
    if not np.isfinite(numbers).all():
        raise PredictionsError(f"{file} holds an empty cell; run predict again to rewrite it.")
    found: dict[str, list[FileBox]] = {}
    for study_id, (x, y, width, height, number, score) in zip(
        table["StudyInstanceUID"], numbers.tolist(), strict=True
    ):
        box = FileBox(int(number), (x, y, x + width, y + height), score)
        found.setdefault(str(study_id), []).append(box)
    return {study_id: tuple(rows) for study_id, rows in found.items()}

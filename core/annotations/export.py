"""Annotations as tables in RSNA's format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.dataset.rsna import BOXES_FILE, LABELS_FILE
from core.dataset.tables import BOX_COLUMNS, LABEL_COLUMNS, UID
from core.system.atomic_files import write_text
from core.system.csv_text import table_csv
from core.types import StudyRecord


def write_tables(records: Sequence[StudyRecord], out: Path) -> tuple[Path, Path]:
    """Write labels and boxes of studies as `train.csv` and `train_bounding_boxes.csv`.

    Unlabelled studies are in neither table.

    Args:
        records: The studies, corrected.
        out: Folder, made if missing.

    Returns:
        Both files.

    Raises:
        StorageError: A file cannot be written.
    """
    labelled = [record for record in records if record.fractured is not None]
    labels = [
        [record.study_id, int(any(flags)), *map(int, flags)]
        for record in labelled
        for flags in (record.fractured or (),)
    ]
    boxes = [
        [record.study_id, *map(_number, (left, top, right - left, bottom - top)), number]
        for record in labelled
        for number, (left, top, right, bottom) in record.boxes
    ]
    paths = out / LABELS_FILE, out / BOXES_FILE
    write_text(paths[0], table_csv([UID, *LABEL_COLUMNS], labels))
    write_text(paths[1], table_csv([UID, *BOX_COLUMNS], boxes))
    return paths


def _number(value: float) -> int | float:
    """Whole numbers without a point; others in full, so that they are read back equal."""
    return int(value) if value == int(value) else value

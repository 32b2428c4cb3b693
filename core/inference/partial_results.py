"""Finished studies of an interrupted prediction, kept for the next call."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.cache.keys import folder_state
from core.errors import PredictionsError
from core.inference.boxes.boxes_csv import read_boxes
from core.inference.outputs import SLICES_FILE, SUMMARY_FILE, read_slices, write_predictions
from core.system.atomic_files import write_json
from core.types import FileBox, SlicePredictions

PARTS_FOLDER: Final = "parts"
_NOTES_FILE: Final = "notes.json"


@dataclass(frozen=True, slots=True, eq=False)
class StudyResult:
    """The prediction of one study.

    Attributes:
        predictions: Predictions of its slices.
        seconds: Time for reading and predicting it.
        notes: Choices made while reading, shown to the user.
        boxes: Boxes of a localiser; empty if none ran.
    """

    predictions: SlicePredictions
    seconds: float
    notes: tuple[str, ...]
    boxes: tuple[FileBox, ...] = ()


class PredictionParts:
    """A folder `parts` with one predictions folder per study, next to the joined files.

    Args:
        out: Folder of the joined files.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / PARTS_FOLDER

    def keep(self, key: str, result: StudyResult) -> None:
        """Write one study's part; it counts once its last file is written.

        Raises:
            StorageError: The part cannot be written.
        """
        part = self.folder / key
        write_json(part / _NOTES_FILE, list(result.notes))
        write_predictions(
            part, [result.predictions], seconds=[result.seconds], single=True,
            boxes={result.predictions.study_id: result.boxes},
        )  # fmt: skip

    def find(self, key: str) -> StudyResult | None:
        """Read a part; None if it is missing or damaged."""
        part = self.folder / key
        with contextlib.suppress(OSError, ValueError, KeyError, PredictionsError):
            summary = json.loads((part / SUMMARY_FILE).read_text())
            notes = json.loads((part / _NOTES_FILE).read_text())
            (predictions,) = read_slices(part / SLICES_FILE)
            boxes = read_boxes(part).get(predictions.study_id, ())
            return StudyResult(predictions, float(summary["seconds"]), tuple(notes), boxes)
        return None

    def discard(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)


def part_key(folder: Path, pair_digest: str) -> str:
    """Name a study's part by the networks and by the names, sizes and times of the study's files.

    Returns:
        24 hex digits that change with the study's files and with the pair of bundles.

    Raises:
        DicomSeriesError: The folder cannot be read.
    """
    state = json.dumps([pair_digest, str(folder), folder_state(folder)])
    return hashlib.sha256(state.encode()).hexdigest()[:24]


def without_repeats(results: Sequence[StudyResult]) -> tuple[list[StudyResult], list[str]]:
    """Keep the result with most slices of a study that came twice, and say so."""
    best: dict[str, StudyResult] = {}
    notes: list[str] = []
    for result in results:
        study_id = result.predictions.study_id
        other = best.get(study_id)
        if other is not None:
            notes.append(
                f"Study {study_id} was found twice, with {other.predictions.n_slices} and "
                f"{result.predictions.n_slices} slices; the longer one is written."
            )
        if other is None or result.predictions.n_slices > other.predictions.n_slices:
            best[study_id] = result
    return list(best.values()), notes

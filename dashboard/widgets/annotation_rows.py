"""Boxes of one slice as rows of an editor, and edited rows as judged boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from core.annotations.records import (
    AnnotatedBox,
    BoxStatus,
    StudyAnnotation,
    VertebraName,
    drafted_box,
)
from core.dataset.slice_table import volume_file_numbers
from core.dataset.true_boxes import place_boxes
from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.errors import AnnotationError
from core.types import BoxPrediction, BoxXyxy, CTVolume

UNDECIDED, ACCEPT, REJECT = "Undecided", "Accept", "Reject"
DECISIONS: Final = (UNDECIDED, ACCEPT, REJECT)
DECISION, VERTEBRA, SOURCE, SCORE = "Decision", "Vertebra", "Source", "Score"
EDGES: Final = ("Left", "Top", "Right", "Bottom")
LOCALISER, DATA_SET, DRAWN = "localiser", "data set", "drawn"
_SAME_PX: Final = 0.02
"""Edges closer than this are the same: the editor shows two decimals."""


@dataclass(frozen=True, slots=True)
class BoxRow:
    """One box of the slice on show.

    Attributes:
        xyxy: Edges in pixels of the slice.
        source: `LOCALISER`, `DATA_SET` or `DRAWN`.
        decision: One of `DECISIONS`.
        vertebra: "C1".."C7", "" where it is not known.
        score: Of the localiser; None for others.
    """

    xyxy: BoxXyxy
    source: str
    decision: str = UNDECIDED
    vertebra: str = ""
    score: float | None = None


def slice_rows(
    index: int,
    volume: CTVolume,
    annotation: StudyAnnotation | None,
    predicted: Iterable[BoxPrediction],
    truth: Iterable[BoxPrediction],
) -> tuple[BoxRow, ...]:
    """List what there is on a slice: judged boxes, then those that nobody has judged.

    Args:
        index: The slice.
        volume: The study, whose slices have files of their own.
        annotation: The version that holds; None before the first.
        predicted: Boxes of the localiser.
        truth: Boxes of the data set, accepted unless somebody decides otherwise.
    """
    judged = [] if annotation is None else list(annotation.boxes)
    rows: list[BoxRow] = []
    met: list[BoxXyxy] = []
    for box in judged:
        placed = _on_slice(box.slice_number, box.xyxy, volume)
        if placed is None or placed[0] != index:
            continue
        decision = ACCEPT if box.kept else REJECT
        source = DRAWN if box.status in ("added", "redrawn") else LOCALISER
        if source == LOCALISER and box.score is None:
            source = DATA_SET
        rows.append(BoxRow(placed[1], source, decision, box.vertebra or "", box.score))
        met += [placed[1], *_origin(box, volume)]
    for boxes, source, decision in (
        (truth, DATA_SET, ACCEPT), (predicted, LOCALISER, UNDECIDED),
    ):  # fmt: skip
        for box in boxes:
            if box.slice_index != index or any(_same(box.xyxy, other) for other in met):
                continue
            score = None if source == DATA_SET else box.score
            rows.append(BoxRow(box.xyxy, source, decision, "", score))
    return tuple(rows)


def rows_frame(rows: Sequence[BoxRow]) -> pd.DataFrame:
    """The rows as the editor shows them."""
    columns: dict[str, Any] = {
        DECISION: [row.decision for row in rows],
        VERTEBRA: [row.vertebra for row in rows],
        **{
            name: np.array([round(row.xyxy[k], 2) for row in rows], np.float64)
            for k, name in enumerate(EDGES)
        },
        SCORE: np.array([np.nan if r.score is None else r.score for r in rows], np.float64),
        SOURCE: [row.source for row in rows],
    }
    return pd.DataFrame(columns)


def judged_boxes(
    rows: Sequence[BoxRow], changes: Mapping[str, Any], index: int, volume: CTVolume
) -> tuple[AnnotatedBox, ...]:
    """Apply an editor's changes and give the boxes that were decided, on their files.

    Args:
        rows: As they were shown.
        changes: The editor's state: edited_rows, added_rows, deleted_rows.
        index: The slice.
        volume: The study.

    Raises:
        AnnotationError: A box lacks an edge, or has no size.
    """
    edited, deleted = changes.get("edited_rows", {}), set(changes.get("deleted_rows", ()))
    boxes: list[AnnotatedBox] = []
    for k, row in enumerate(rows):
        change = edited.get(k) or edited.get(str(k)) or {}
        decision = str(change.get(DECISION) or row.decision)
        if k in deleted or decision == UNDECIDED:
            continue
        moved = tuple(_edge(change.get(name), row.xyxy[n]) for n, name in enumerate(EDGES))
        vertebra = str(change.get(VERTEBRA, row.vertebra) or "")
        boxes.append(_judged(row, cast(BoxXyxy, moved), decision, vertebra, index, volume))
    for added in changes.get("added_rows", ()):
        edges = [added.get(name) for name in EDGES]
        if any(edge is None for edge in edges):
            raise AnnotationError("A new box needs left, top, right and bottom; fill them in.")
        row = BoxRow(cast(BoxXyxy, tuple(map(float, edges))), DRAWN, ACCEPT)
        vertebra = str(added.get(VERTEBRA) or "")
        boxes.append(_judged(row, row.xyxy, ACCEPT, vertebra, index, volume))
    return tuple(boxes)


def other_boxes(
    annotation: StudyAnnotation | None, index: int, volume: CTVolume
) -> tuple[AnnotatedBox, ...]:
    """The judged boxes of all other slices, which an edit of this one leaves as they are."""
    boxes = () if annotation is None else annotation.boxes
    return tuple(box for box in boxes if box.slice_number != _file_number(index, volume))


def _judged(
    row: BoxRow, xyxy: BoxXyxy, decision: str, vertebra: str, index: int, volume: CTVolume
) -> AnnotatedBox:
    _check_inside(xyxy, volume)
    moved = not _same(xyxy, row.xyxy)
    status: BoxStatus = "accepted"
    if decision == REJECT:
        status, moved = "rejected", False
    elif row.source == DRAWN:
        status = "added"
    elif moved:
        status = "redrawn"
    placed = xyxy if moved else row.xyxy
    return drafted_box(
        slice_number=_file_number(index, volume),
        xyxy=_on_file(index, placed, volume),
        status=status,
        vertebra=cast(VertebraName, vertebra) if vertebra else None,
        predicted=_on_file(index, row.xyxy, volume) if status == "redrawn" else None,
        score=row.score,
    )


def _check_inside(xyxy: BoxXyxy, volume: CTVolume) -> None:
    """Refuse a box without a size or beyond its slice: mapping it to a file would hide that."""
    left, top, right, bottom = xyxy
    rows, columns = volume.hu.shape[1:]
    if not (0 <= left < right <= columns + _SAME_PX and 0 <= top < bottom <= rows + _SAME_PX):
        raise AnnotationError(
            f"A box needs left < right and top < bottom within {columns} x {rows} pixels; correct "
            "its edges."
        )


def _edge(value: object, before: float) -> float:
    return before if value is None else float(cast(float, value))


def _same(one: BoxXyxy, other: BoxXyxy) -> bool:
    return bool(np.abs(np.subtract(one, other)).max() <= _SAME_PX)


def _origin(box: AnnotatedBox, volume: CTVolume) -> list[BoxXyxy]:
    """Where a network had put a redrawn box, on the slice."""
    if box.predicted is None:
        return []
    placed = _on_slice(box.slice_number, box.predicted, volume)
    return [] if placed is None else [placed[1]]


def _on_slice(number: int, xyxy: BoxXyxy, volume: CTVolume) -> tuple[int, BoxXyxy] | None:
    placed = place_boxes([(number, xyxy)], volume_file_numbers(volume), BoxMapping.of(volume))
    return (placed[0].slice_index, placed[0].xyxy) if placed else None


def _to_file(index: int, xyxy: BoxXyxy, volume: CTVolume) -> PlaneBoxes:
    boxes = PlaneBoxes(np.array([index]), np.array([xyxy], np.float64), np.ones(1))
    return BoxMapping.of(volume).to_files(boxes)


def _on_file(index: int, xyxy: BoxXyxy, volume: CTVolume) -> BoxXyxy:
    left, top, right, bottom = _to_file(index, xyxy, volume).xyxy[0].tolist()
    return left, top, right, bottom


def _file_number(index: int, volume: CTVolume) -> int:
    plane = int(_to_file(index, (0.0, 0.0, 1.0, 1.0), volume).index[0])
    return int(volume_file_numbers(volume)[plane])

"""Vertebrae, and masks and boxes of the data set, as layers over a study's slices."""

from __future__ import annotations

from pathlib import Path

from core.dataset.rsna import lines_file
from core.dataset.true_boxes import boxes_on_volume
from core.types import CTVolume, StudyRecord
from dashboard.studies.cohort import shipped_segmenter
from dashboard.studies.masks import mask_of
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.predicted_vertebrae import predicted_vertebrae
from dashboard.widgets.slice_viewer.overlays import (
    Overlay,
    fracture_mask,
    true_boxes,
    vertebra_mask,
)


def study_layers(
    study: OpenStudy, record: StudyRecord | None, *, reveal: bool, mask_shown: bool = False
) -> list[Overlay]:
    """Layers of a study: its vertebrae, and on request true fracture lines and boxes.

    Args:
        study: Study on show.
        record: Entry of the study in the data set; None for a study without truth.
        reveal: Whether fracture lines and boxes are included.
        mask_shown: Whether a true mask is drawn at first; predicted vertebrae never are.
    """
    layers = _vertebrae(study, None if record is None else record.mask_file, shown=mask_shown)
    if record is None or not reveal:
        return layers
    if (lines := lines_file(record)) is not None:
        layers.append(fracture_mask(lambda: mask_of(lines, study), study.fingerprint))
    if record.boxes:
        layers.append(true_boxes(boxes_on_volume(record.boxes, study.volume)))
    return layers


def _vertebrae(study: OpenStudy, mask: Path | None, *, shown: bool) -> list[Overlay]:
    """The true mask, else the segmenter's labels once the browser asks for them."""
    if mask is not None:
        return [vertebra_mask(lambda: mask_of(mask, study), study.fingerprint, shown=shown)]
    segmenter = shipped_segmenter()
    if segmenter is None:
        return []
    content = f"{segmenter.config.weights_sha256} {study.fingerprint}"
    return [
        vertebra_mask(
            lambda: predicted_vertebrae(study, segmenter), content, name="Predicted vertebrae",
            shown=False,
        )
    ]  # fmt: skip


def slice_with_box(record: StudyRecord | None, volume: CTVolume) -> int | None:
    """Slice of the middle one of a study's boxes; None without boxes."""
    boxes = [] if record is None else boxes_on_volume(record.boxes, volume)
    return boxes[len(boxes) // 2].slice_index if boxes else None

"""Masks and boxes of a study in the data set, as layers over its slices."""

from __future__ import annotations

from core.dataset.rsna import lines_file
from core.dataset.true_boxes import boxes_on_volume
from core.types import CTVolume, StudyRecord
from dashboard.studies.masks import mask_of
from dashboard.studies.open_study import OpenStudy
from dashboard.widgets.slice_viewer.overlays import (
    Overlay,
    fracture_mask,
    true_boxes,
    vertebra_mask,
)


def truth_layers(
    study: OpenStudy, record: StudyRecord | None, *, reveal: bool, mask_shown: bool = False
) -> list[Overlay]:
    """Layers of a study: the vertebra mask, and on request fracture lines and boxes.

    Args:
        study: Study on show.
        record: Entry of the study in the data set; None gives no layer.
        reveal: Whether fracture lines and boxes are included.
        mask_shown: Whether the mask is drawn at first.
    """
    if record is None:
        return []
    layers: list[Overlay] = []
    if (mask := record.mask_file) is not None:
        layers.append(
            vertebra_mask(lambda: mask_of(mask, study), study.fingerprint, shown=mask_shown)
        )
    if not reveal:
        return layers
    if (lines := lines_file(record)) is not None:
        layers.append(fracture_mask(lambda: mask_of(lines, study), study.fingerprint))
    if record.boxes:
        layers.append(true_boxes(boxes_on_volume(record.boxes, study.volume)))
    return layers


def slice_with_box(record: StudyRecord | None, volume: CTVolume) -> int | None:
    """Slice of the middle one of a study's boxes; None without boxes."""
    boxes = [] if record is None else boxes_on_volume(record.boxes, volume)
    return boxes[len(boxes) // 2].slice_index if boxes else None

"""Detection by kind of fracture and by vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.detection.report import DetectionReport

SEVERAL = "several"
"""Boxes around fractures of more than one kind or vertebra."""


@dataclass(frozen=True, slots=True)
class BoxGroup:
    """True boxes of one kind or vertebra.

    Attributes:
        name: Name of the kind or vertebra.
        boxes: Number of boxes.
        counted_iou: Mean IoU of the best-scored box, 0 where none reaches the threshold.
        found: Share with an IoU of at least 0.1 with the best-scored box.
        sensitivity: Share whose best hit reaches the threshold, by centre.
    """

    name: str
    boxes: int
    counted_iou: float
    found: float
    sensitivity: float


def by_group(report: DetectionReport, names: Sequence[str]) -> list[BoxGroup]:
    """Divide the true boxes of a report by name, the most common first.

    Args:
        report: From `evaluate_detection`.
        names: Name of each true box, joined by "+" where there are several.

    Raises:
        ValueError: There are more or fewer names than boxes.
    """
    if len(names) != report.true_boxes:
        raise ValueError(f"{report.true_boxes} boxes need as many names, not {len(names)}.")
    single = np.array([SEVERAL if "+" in name else name or "unknown" for name in names])
    groups = [_group(report, str(name), single == name) for name in np.unique(single)]
    return sorted(groups, key=lambda group: -group.boxes)


def _group(report: DetectionReport, name: str, own: NDArray[np.bool_]) -> BoxGroup:
    return BoxGroup(
        name=name,
        boxes=int(own.sum()),
        counted_iou=float(report.counted_iou[own].mean()),
        found=float((report.counted_iou[own] >= 0.1).mean()),
        sensitivity=float((report.froc_boxes.lesion_scores[own] >= report.threshold).mean()),
    )

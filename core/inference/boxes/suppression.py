"""Suppression of boxes that overlap a better one."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.inference.boxes.fusion import FusedBoxes, check_fusion_input
from core.preprocessing.box_geometry import box_iou
from core.types import FloatArray, IntArray

Suppression = Literal["nms", "soft-nms", "none"]


SOFT_LIMIT: Final = 0.001
"""Lowest score that soft-NMS keeps."""


def suppress(
    method: Suppression,
    xyxy: FloatArray,
    scores: FloatArray,
    *,
    iou_threshold: float,
    skip_below: float,
) -> FusedBoxes:
    """Suppress boxes that overlap a better one.

    "nms" keeps the best box of each group and drops those that overlap it by more than the
    threshold. "soft-nms" (Bodla et al. 2017, equation 4) takes the best remaining box and
    multiplies every other score by exp(-IoU^2 / sigma); those that fall below `SOFT_LIMIT` are
    dropped. "none" only sorts.

    Args:
        method: Name of the method.
        xyxy: float64 (n, 4).
        scores: float64 (n,).
        iou_threshold: Overlap above which a box is dropped; sigma, the width of the Gaussian, for
            soft-NMS, where a smaller one suppresses more.
        skip_below: Boxes with a lower score are left out.

    Raises:
        ValueError: The arrays do not fit each other.
    """
    check_fusion_input(xyxy, scores, np.zeros(len(scores), np.int64), np.ones(1))
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= skip_below]
    if method == "soft-nms":
        taken, scores = _soften(xyxy, scores, scores >= skip_below, max(iou_threshold, 1e-3))
    elif method == "nms":
        return _keep_best(xyxy, scores, order, iou_threshold)
    else:
        taken = order
    members = np.full(len(scores), -1, np.int64)
    members[taken] = np.arange(len(taken))
    return FusedBoxes(xyxy[taken], scores[taken], members)


def _keep_best(
    xyxy: FloatArray, scores: FloatArray, order: IntArray, iou_threshold: float
) -> FusedBoxes:
    overlap = box_iou(xyxy, xyxy)
    members = np.full(len(scores), -1, np.int64)
    kept: list[int] = []
    for row in order:
        if members[row] < 0:
            group = order[(overlap[row, order] > iou_threshold) & (members[order] < 0)]
            members[group] = members[row] = len(kept)
            kept.append(int(row))
    return FusedBoxes(xyxy[kept], scores[kept], members)


def _soften(
    xyxy: FloatArray, scores: FloatArray, left: NDArray[np.bool_], sigma: float
) -> tuple[IntArray, FloatArray]:
    """The boxes taken, best first, and the lowered scores of all."""
    damping = np.exp(-np.square(box_iou(xyxy, xyxy)) / sigma)
    current = scores.astype(np.float64, copy=True)
    left = left & (current >= SOFT_LIMIT)
    taken: list[int] = []
    while left.any():
        best = int(np.where(left, current, -np.inf).argmax())
        taken.append(best)
        left[best] = False
        current[left] *= damping[best, left]
        left &= current >= SOFT_LIMIT
    return np.array(taken, np.int64), current

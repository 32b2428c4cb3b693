"""Suppression of boxes that overlap a better one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from core.inference.boxes.fusion import FusedBoxes, check_fusion_input
from core.preprocessing.box_geometry import box_iou
from core.types import FloatArray, IntArray

Suppression = Literal["nms", "soft-nms", "none"]


def non_maximum_suppression(
    xyxy: FloatArray, scores: FloatArray, *, iou_threshold: float = 0.5, skip_below: float = 0.0
) -> FusedBoxes:
    """Keep the best box of each group and drop those that overlap it by more than the threshold.

    Args:
        xyxy: float64 (n, 4).
        scores: float64 (n,).
        iou_threshold: Overlap above which a box is dropped.
        skip_below: Boxes with a lower score are left out.

    Raises:
        ValueError: The arrays do not fit each other.
    """
    check_fusion_input(xyxy, scores, np.zeros(len(scores), np.int64), np.ones(1))
    order = _best_first(scores, skip_below)
    overlap = box_iou(xyxy, xyxy)
    members = np.full(len(scores), -1, np.int64)
    kept: list[int] = []
    for row in order:
        if members[row] < 0:
            group = order[(overlap[row, order] > iou_threshold) & (members[order] < 0)]
            members[group] = members[row] = len(kept)
            kept.append(int(row))
    return FusedBoxes(xyxy[kept], scores[kept], members)


def soft_nms(
    xyxy: FloatArray, scores: FloatArray, *, sigma: float = 0.5, skip_below: float = 0.001
) -> FusedBoxes:
    """Lower the scores of boxes that overlap a better one (Bodla et al. 2017, equation 4).

    The best remaining box is taken, and every other score is multiplied by
    exp(-IoU^2 / sigma); those that fall below `skip_below` are dropped.

    Args:
        xyxy: float64 (n, 4).
        scores: float64 (n,).
        sigma: Width of the Gaussian, > 0; a smaller one suppresses more.
        skip_below: Lowest score kept.

    Raises:
        ValueError: The arrays do not fit each other, or `sigma` is not above 0.
    """
    check_fusion_input(xyxy, scores, np.zeros(len(scores), np.int64), np.ones(1))
    if not sigma > 0:
        raise ValueError(f"Soft-NMS needs a sigma above 0, not {sigma}.")
    damping = np.exp(-np.square(box_iou(xyxy, xyxy)) / sigma)
    current = scores.astype(np.float64, copy=True)
    left = current >= skip_below
    taken: list[int] = []
    while left.any():
        best = int(np.where(left, current, -np.inf).argmax())
        taken.append(best)
        left[best] = False
        current[left] *= damping[best, left]
        left &= current >= skip_below
    members = np.full(len(scores), -1, np.int64)
    members[taken] = np.arange(len(taken))
    return FusedBoxes(xyxy[taken], current[taken], members)


def suppress(
    method: Suppression,
    xyxy: FloatArray,
    scores: FloatArray,
    *,
    iou_threshold: float,
    skip_below: float,
) -> FusedBoxes:
    """Apply a method by name; "none" only sorts and skips.

    Args:
        method: Name of the method.
        xyxy: float64 (n, 4).
        scores: float64 (n,).
        iou_threshold: Overlap above which boxes are suppressed; Gaussian width for soft-NMS.
        skip_below: Boxes with a lower score are left out.

    Raises:
        ValueError: As the methods raise it.
    """
    if method == "nms":
        return non_maximum_suppression(
            xyxy, scores, iou_threshold=iou_threshold, skip_below=skip_below
        )
    members = np.full(len(scores), -1, np.int64)
    if method == "soft-nms":
        kept = np.flatnonzero(scores >= skip_below)
        found = soft_nms(xyxy[kept], scores[kept], sigma=max(iou_threshold, 1e-3))
        members[kept] = found.members
        return FusedBoxes(found.xyxy, found.scores, members)
    order = _best_first(scores, skip_below)
    members[order] = np.arange(len(order))
    return FusedBoxes(xyxy[order], scores[order], members)


def _best_first(scores: FloatArray, skip_below: float) -> IntArray:
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] >= skip_below]

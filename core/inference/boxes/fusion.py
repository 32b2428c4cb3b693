"""Weighted boxes fusion: overlapping boxes become one.

Boxes are xyxy in any one unit, scores lie in [0, 1]; all boxes are of one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.preprocessing.box_geometry import iou
from core.types import FloatArray, IntArray

ScoreRule = Literal["average", "maximum"]


@dataclass(frozen=True, slots=True, eq=False)
class FusedBoxes:
    """Boxes after fusion, best first.

    Attributes:
        xyxy: float64 (k, 4).
        scores: float64 (k,).
        members: int64 (n,), for each input box the index of the fused box that it is part of; -1 if
            it was suppressed or skipped.
    """

    xyxy: FloatArray
    scores: FloatArray
    members: IntArray

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.scores)

    def of_members(self, values: IntArray) -> IntArray:
        """Values (n,) shared by the members of each box, as int64 (k,)."""
        found = np.empty(len(self), np.int64)
        kept = self.members >= 0
        found[self.members[kept]] = values[kept]
        return found


def weighted_boxes_fusion(
    xyxy: FloatArray,
    scores: FloatArray,
    models: IntArray | None = None,
    groups: IntArray | None = None,
    *,
    weights: Sequence[float] = (1.0,),
    iou_threshold: float = 0.55,
    skip_below: float = 0.0,
    score_rule: ScoreRule = "average",
) -> FusedBoxes:
    """Fuse the boxes of several models (Solovyev, Wang and Gabruseva 2021, section 3).

    Boxes are taken by decreasing score. Each joins the cluster whose fused box overlaps it most, if
    that IoU is above the threshold, or opens a new cluster. A cluster's box is the mean of its
    members' corners weighted by their scores, X = sum C_i X_i / sum C_i, and its score the mean of
    theirs, C = sum C_i / T. At the end scores are rescaled by how many models agree,
    C min(T, N) / N, with N models and T members. With model weights, each score is multiplied by
    its model's weight first, and T and N become the sums of the members' and of all weights.

    Many slices are fused at once: the k-th best boxes of all groups are processed together.

    Args:
        xyxy: float64 (n, 4).
        scores: float64 (n,).
        models: int64 (n,), which model (or augmentation, or slice) each box is from; None: all from
            model 0.
        groups: int64 (n,) >= 0; boxes of different groups are never fused. None: one group.
        weights: Weight >= 0 of each model.
        iou_threshold: Overlap above which two boxes are fused.
        skip_below: Boxes with a lower score are left out.
        score_rule: "average" as in the paper, or the highest of the members' weighted scores.

    Returns:
        The fused boxes, by group and then best first; `FusedBoxes.of_members` gives their groups.

    Raises:
        ValueError: The arrays do not fit each other, or a model has no weight.
    """
    source = np.zeros(len(scores), np.int64) if models is None else models
    group_of = np.zeros(len(scores), np.int64) if groups is None else groups
    given = np.asarray(weights, dtype=np.float64)
    check_fusion_input(xyxy, scores, source, given)
    weighted = scores * given[source]
    order = np.lexsort((np.arange(len(scores)), -weighted, group_of))
    order = order[scores[order] >= skip_below]
    names, dense, counts = np.unique(group_of[order], return_inverse=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    clusters = _Clusters(len(names), int(counts.max(initial=0)))
    slots = np.full(len(order), -1, np.int64)
    for k in range(int(counts.max(initial=0))):
        turn = np.flatnonzero(rank == k)
        rows = order[turn]
        slots[turn] = clusters.add(
            dense[turn], xyxy[rows], weighted[rows], given[source[rows]], iou_threshold
        )
    fused, place = clusters.fused(given, score_rule)
    members = np.full(len(scores), -1, np.int64)
    members[order] = place[dense, slots] if len(order) else slots
    return FusedBoxes(fused[:, :4], fused[:, 4], members)


class _Clusters:
    """The clusters of many groups as running sums: a step adds one box to each of some groups."""

    def __init__(self, groups: int, room: int) -> None:
        self._count = np.zeros(groups, np.int64)
        self._boxes = np.zeros((groups, room, 4))
        self._corners = np.zeros((groups, room, 4))
        self._scores = np.zeros((groups, room))
        self._weights = np.zeros((groups, room))
        self._highest = np.zeros((groups, room))

    def add(
        self, group: IntArray, xyxy: FloatArray, weighted: FloatArray, weight: FloatArray,
        iou_threshold: float,
    ) -> IntArray:  # fmt: skip
        """Add one box to each of `group`, which holds no group twice.

        Returns:
            int64 (n,), cluster number of each box within its group.
        """
        slot = self._nearest(group, xyxy, iou_threshold)
        at = group, slot
        self._corners[at] += weighted[:, np.newaxis] * xyxy
        self._scores[at] += weighted
        self._weights[at] += weight
        self._highest[at] = np.maximum(self._highest[at], weighted)
        total = self._scores[at][:, np.newaxis]
        # A score of 0 has no weight in a mean, but a single box still has a place.
        self._boxes[at] = np.divide(
            self._corners[at], total, out=xyxy.astype(np.float64), where=total > 0
        )
        return slot

    def _nearest(self, group: IntArray, xyxy: FloatArray, iou_threshold: float) -> IntArray:
        seen = int(self._count[group].max(initial=0))
        slot = self._count[group].copy()
        if seen:
            overlap = iou(self._boxes[group, :seen], xyxy[:, np.newaxis])
            overlap[np.arange(seen) >= slot[:, np.newaxis]] = -1.0
            best = overlap.argmax(axis=1)
            joins = overlap[np.arange(len(group)), best] > iou_threshold
            slot = np.where(joins, best, slot)
        self._count[group] = np.maximum(self._count[group], slot + 1)
        return slot

    def fused(self, weights: FloatArray, rule: ScoreRule) -> tuple[FloatArray, IntArray]:
        """Boxes and rescaled scores (k, 5), and the place of each (group, cluster)."""
        group, slot = np.nonzero(np.arange(self._scores.shape[1]) < self._count[:, np.newaxis])
        total, top = float(weights.sum()) or 1.0, float(weights.max()) or 1.0
        if rule == "maximum":
            scores = self._highest[group, slot] / top
        else:
            own = self._weights[group, slot]
            mean = np.divide(self._scores[group, slot], own, out=np.zeros(len(own)), where=own > 0)
            scores = mean * np.minimum(own, total) / total
        order = np.lexsort((slot, -scores, group))
        place = np.full(self._scores.shape, -1, np.int64)
        place[group[order], slot[order]] = np.arange(len(order))
        boxes = np.column_stack([self._boxes[group, slot], scores])
        return boxes[order], place


def check_fusion_input(
    xyxy: FloatArray, scores: FloatArray, models: IntArray, weights: FloatArray
) -> None:
    """Check that boxes, scores, models and weights fit each other.

    Raises:
        ValueError: They do not.
    """
    n = len(scores)
    if xyxy.shape != (n, 4) or models.shape != (n,):
        raise ValueError(
            f"{n} scores need boxes ({n}, 4) and models ({n},), but the shapes are {xyxy.shape} "
            f"and {models.shape}."
        )
    if weights.ndim != 1 or not len(weights) or (weights < 0).any():
        raise ValueError("Each model needs a weight of 0 or more.")
    if n and not 0 <= models.min() <= models.max() < len(weights):
        raise ValueError(f"There are {len(weights)} weights, but a box is of another model.")

"""Matching of predicted boxes with true ones on the same slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.preprocessing.box_geometry import box_area
from core.types import FloatArray, IntArray

_SLICES: int = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class BoxTable:
    """Boxes of many studies as flat columns.

    Attributes:
        study: int64 (n,), number of the study.
        slice_index: int64 (n,).
        xyxy: float64 (n, 4) in pixels.
        scores: float64 (n,); 1 for the truth.
        track: int64 (n,), number of the box's track within its study.
    """

    study: IntArray
    slice_index: IntArray
    xyxy: FloatArray
    scores: FloatArray
    track: IntArray

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.scores)

    @property
    def slice_key(self) -> IntArray:
        """Number of the slice, unique over all studies, int64 (n,)."""
        return self.study * _SLICES + self.slice_index

    @property
    def track_key(self) -> IntArray:
        """Number of the track, unique over all studies, int64 (n,)."""
        return self.study * _SLICES + self.track

    def rows(self, chosen: NDArray[np.bool_] | IntArray) -> BoxTable:
        """Some of the boxes."""
        return BoxTable(
            self.study[chosen], self.slice_index[chosen], self.xyxy[chosen],
            self.scores[chosen], self.track[chosen],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every predicted box with every true one on the same slice.

    Attributes:
        predicted: int64 (k,), row of the prediction.
        true: int64 (k,), row of the truth.
        iou: float64 (k,).
        inside: bool (k,), whether the predicted centre lies in the true box; edges count.
    """

    predicted: IntArray
    true: IntArray
    iou: FloatArray
    inside: NDArray[np.bool_]


def pair_boxes(predicted: BoxTable, truth: BoxTable) -> Pairs:
    """Pair the boxes that share a slice; the cost grows with the pairs, not with their product."""
    order = np.argsort(truth.slice_key, kind="stable")
    keys = truth.slice_key[order]
    first = np.searchsorted(keys, predicted.slice_key, side="left")
    count = np.searchsorted(keys, predicted.slice_key, side="right") - first
    of_predicted = np.repeat(np.arange(len(predicted)), count)
    step = np.arange(len(of_predicted)) - np.repeat(np.cumsum(count) - count, count)
    of_truth = order[first[of_predicted] + step]
    a, b = predicted.xyxy[of_predicted], truth.xyxy[of_truth]
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    union = box_area(a) + box_area(b) - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    middle = (a[:, :2] + a[:, 2:]) / 2
    inside = ((middle >= b[:, :2]) & (middle <= b[:, 2:])).all(axis=1)
    return Pairs(of_predicted, of_truth, iou, np.asarray(inside, dtype=np.bool_))


def match_greedily(pairs: Pairs, scores: FloatArray, *, iou: float) -> NDArray[np.bool_]:
    """Mark the predictions that are true; each true box is matched once, as in COCO.

    By falling score, a prediction takes the free true box that it overlaps most, if by at least
    `iou`.

    Args:
        pairs: From `pair_boxes`.
        scores: float64 (n,), scores of the predictions; ties are ordered by row.
        iou: Least overlap.

    Returns:
        bool (n,).
    """
    rank = np.empty(len(scores), np.int64)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    able = np.flatnonzero(pairs.iou >= iou)
    order = able[np.lexsort((-pairs.iou[able], rank[pairs.predicted[able]]))]
    matched, taken = np.zeros(len(scores), bool), set[int]()
    for row, target in zip(pairs.predicted[order], pairs.true[order], strict=True):
        if not matched[row] and int(target) not in taken:
            matched[row] = True
            taken.add(int(target))
    return matched


def best_matches(
    pairs: Pairs, predicted: BoxTable, n_true: int
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Overlap of each true box with the predictions on its slice.

    Args:
        pairs: From `pair_boxes`.
        predicted: The predictions.
        n_true: Number of true boxes.

    Returns:
        IoU with the best-scored box, the first of equals, float64 (n_true,); IoU with the box that
        overlaps most, whatever its score, float64 (n_true,); and whether the centre of the
        best-scored box lies inside, bool (n_true,). 0 and False where nothing was predicted.
    """
    most = np.zeros(n_true)
    np.maximum.at(most, pairs.true, pairs.iou)
    order = np.lexsort((pairs.predicted, -predicted.scores[pairs.predicted], pairs.true))
    owner, first = np.unique(pairs.true[order], return_index=True)
    top, hit = np.zeros(n_true), np.zeros(n_true, bool)
    top[owner] = pairs.iou[order][first]
    hit[owner] = pairs.inside[order][first]
    return top, most, hit

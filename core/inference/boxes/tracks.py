"""From raw boxes to the fractures of a study: fusion on slices, then tracks along z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.inference.boxes.fusion import ScoreRule, weighted_boxes_fusion
from core.inference.boxes.suppression import Suppression, suppress
from core.preprocessing.box_geometry import box_iou
from core.types import FloatArray, IntArray, RawDetections

FusionMethod = Literal["wbf"] | Suppression


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """How raw boxes become boxes; every value can be set on the Localization page.

    Attributes:
        method: Fusion of the boxes of one slice.
        iou: Overlap above which two raw boxes are fused.
        score_rule: Score in weighted boxes fusion: the highest of the members' scores, or their
            mean, which is lower for a box found on one slice only.
        skip_below: Raw boxes with a lower score are left out.
        neighbour_weight: Weight of the slices above and below, relative to the slice's own 1; 0 for
            none. Weighted boxes fusion only.
        track_iou: Overlap that links boxes of neighbouring slices to one track; 0 turns tracks
            off.
        track_share: Share of the track's score in a box's score; 0 leaves scores unchanged.
        slice_threshold: Boxes on slices with a lower fracture probability are left out.
    """

    method: FusionMethod = "wbf"
    iou: float = 0.55
    score_rule: ScoreRule = "maximum"
    skip_below: float = 0.05
    neighbour_weight: float = 0.5
    track_iou: float = 0.2
    track_share: float = 0.7
    slice_threshold: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of one study after fusion, by slice and then best first.

    Attributes:
        study_id: StudyInstanceUID.
        slice_index: int64 (n,).
        xyxy: float64 (n, 4) in pixels of the volume's slices.
        scores: float64 (n,) in [0, 1].
        track: int64 (n,), track number of each box; every box has one.
        n_slices: Number of slices of the study.
    """

    study_id: str
    slice_index: IntArray
    xyxy: FloatArray
    scores: FloatArray
    track: IntArray
    n_slices: int

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.scores)

    def above(self, threshold: float) -> Detections:
        """The boxes with at least this score."""
        kept = self.scores >= threshold
        return Detections(
            self.study_id, self.slice_index[kept], self.xyxy[kept], self.scores[kept],
            self.track[kept], self.n_slices,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box3D:
    """One fracture in the volume: the boxes of a track together.

    Attributes:
        first_slice: Most cranial slice.
        last_slice: Most caudal slice, inclusive.
        xyxy: The smallest box around the track's boxes, in pixels of the slices.
        score: Mean of the track's three best scores, missing ones counted as 0: a fracture found
            on one slice only is rarely real.
        n_boxes: Number of slices with a box of the track.
    """

    first_slice: int
    last_slice: int
    xyxy: tuple[float, float, float, float]
    score: float
    n_boxes: int


TRACK_DEPTH = 3
"""Number of best boxes in a track's score."""
TRACK_GAP = 2
"""Most slices from one box of a track to the next: one slice between them may have no box."""


def detect(
    raw: RawDetections, settings: FusionSettings, *, slice_probs: FloatArray | None = None
) -> Detections:
    """Fuse the raw boxes of a study and join them along z.

    Args:
        raw: From `BoxPredictor.predict`.
        settings: Settings of the fusion.
        slice_probs: float64 (n_slices,), p_i of a fracture model; needed where
            `slice_threshold` is above 0.

    Raises:
        ValueError: `slice_probs` does not fit the study.
    """
    slices, boxes, scores = _fused(raw, settings)
    if slice_probs is not None and settings.slice_threshold > 0:
        if len(slice_probs) != raw.n_slices:
            raise ValueError(
                f"{raw.n_slices} slices need as many probabilities, not {len(slice_probs)}."
            )
        kept = slice_probs[slices] >= settings.slice_threshold
        slices, boxes, scores = slices[kept], boxes[kept], scores[kept]
    if settings.track_iou <= 0:
        return Detections(raw.study_id, slices, boxes, scores, np.arange(len(scores)), raw.n_slices)
    track = link_tracks(slices, boxes, scores, iou=settings.track_iou)
    share = settings.track_share
    final = (1 - share) * scores + share * track_scores(track, scores)[track]
    order = np.lexsort((-final, slices))
    return Detections(
        raw.study_id, slices[order], boxes[order], final[order], track[order], raw.n_slices
    )


def link_tracks(
    slices: IntArray, boxes: FloatArray, scores: FloatArray, *, iou: float, gap: int = TRACK_GAP
) -> IntArray:
    """Number the tracks that boxes form from slice to slice.

    From cranial to caudal, each box continues the best overlapping track that ended at most
    `gap` slices above, in order of decreasing score; otherwise it begins a new track.

    Args:
        slices: int64 (n,).
        boxes: xyxy float64 (n, 4).
        scores: float64 (n,).
        iou: Smallest overlap with the track's last box.
        gap: Most slices from one box of a track to the next.

    Returns:
        int64 (n,), 0.. in the order in which tracks begin.
    """
    track = np.full(len(slices), -1, np.int64)
    last: list[int] = []
    for index in np.unique(slices):
        here = np.flatnonzero(slices == index)
        open_tracks = [t for t, row in enumerate(last) if index - slices[row] <= gap]
        for row in here[np.argsort(-scores[here], kind="stable")]:
            free = [t for t in open_tracks if slices[last[t]] < index]
            overlap = box_iou(boxes[row][np.newaxis], boxes[[last[t] for t in free]])[0]
            if len(free) and overlap.max() >= iou:
                track[row] = free[int(overlap.argmax())]
                last[track[row]] = int(row)
            else:
                track[row] = len(last)
                last.append(int(row))
    return track


def track_scores(track: IntArray, scores: FloatArray) -> FloatArray:
    """Mean of each track's `TRACK_DEPTH` best scores, missing ones counted as 0; float64 (t,)."""
    order = np.lexsort((-scores, track))
    number = track[order]
    starts = np.searchsorted(number, np.arange(int(track.max(initial=-1)) + 1))
    rank = np.arange(len(number)) - starts[number]
    deep = rank < TRACK_DEPTH
    return np.bincount(number[deep], scores[order][deep], minlength=len(starts)) / TRACK_DEPTH


def boxes_3d(found: Detections) -> list[Box3D]:
    """The tracks of a study as boxes in the volume, best first."""
    scores = track_scores(found.track, found.scores)
    made: list[Box3D] = []
    for number in np.unique(found.track):
        rows = found.track == number
        low, high = found.xyxy[rows, :2].min(axis=0), found.xyxy[rows, 2:].max(axis=0)
        made.append(
            Box3D(
                first_slice=int(found.slice_index[rows].min()),
                last_slice=int(found.slice_index[rows].max()),
                xyxy=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
                score=float(scores[number]),
                n_boxes=int(rows.sum()),
            )
        )
    return sorted(made, key=lambda box: -box.score)


def _fused(raw: RawDetections, settings: FusionSettings) -> tuple[IntArray, FloatArray, FloatArray]:
    """Slice, box and score of each fused box, by slice and then best first."""
    if settings.method == "wbf":
        return _fused_over_neighbours(raw, settings)
    slices: list[IntArray] = [np.empty(0, np.int64)]
    boxes: list[FloatArray] = [np.empty((0, 4))]
    scores: list[FloatArray] = [np.empty(0)]
    for index in np.unique(raw.slice_index):
        rows = raw.slice_index == index
        one = suppress(
            settings.method, raw.xyxy[rows], raw.scores[rows],
            iou_threshold=settings.iou, skip_below=settings.skip_below,
        )  # fmt: skip
        slices.append(np.full(len(one), index, np.int64))
        boxes.append(one.xyxy)
        scores.append(one.scores)
    return np.concatenate(slices), np.concatenate(boxes), np.concatenate(scores)


def _fused_over_neighbours(
    raw: RawDetections, settings: FusionSettings
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Weighted boxes fusion that treats the slices above and below as further models."""
    weight = settings.neighbour_weight
    offsets = (-1, 0, 1) if weight > 0 else (0,)
    groups = np.concatenate([raw.slice_index + step for step in offsets])
    inside = (groups >= 0) & (groups < raw.n_slices)
    repeated = len(offsets)
    sources = np.concatenate([raw.source + k * raw.n_sources for k in range(repeated)])
    weights = np.repeat([1.0 if step == 0 else weight for step in offsets], raw.n_sources)
    fused = weighted_boxes_fusion(
        np.tile(raw.xyxy, (repeated, 1))[inside], np.tile(raw.scores, repeated)[inside],
        sources[inside], groups[inside],
        weights=weights.tolist(), iou_threshold=settings.iou, skip_below=settings.skip_below,
        score_rule=settings.score_rule,
    )  # fmt: skip
    return fused.of_members(groups[inside]), fused.xyxy, fused.scores

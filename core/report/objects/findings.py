"""What objects say about a study: boxes with their vertebra, and scores of each vertebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.annotations.records import StudyAnnotation
from core.constants import VERTEBRAE
from core.dataset.true_boxes import boxes_on_volume
from core.dicom.box_mapping import PlaneBoxes
from core.inference.boxes.evidence import track_owners
from core.inference.boxes.tracks import FusionSettings, detect
from core.inference.study_scores import PRESENT
from core.models.operating_points import operating_point
from core.models.pairs import BundlePair
from core.report.study import StudyReport
from core.types import BoxPrediction, CTVolume, RawDetections, SlicePredictions


@dataclass(frozen=True, slots=True, eq=False)
class LeveledBoxes:
    """Boxes on the slices of a volume, each with its vertebra.

    Attributes:
        boxes: Planes are slices.
        levels: "C1".."C7" for each box, "" where it is unknown.
        author: Initials of who judged or drew them; "" for boxes of a network.
    """

    boxes: PlaneBoxes
    levels: tuple[str, ...]
    author: str = ""

    def of(self, level: str) -> PlaneBoxes:
        """The boxes of one vertebra, or of none for ""."""
        own = np.array([one == level for one in self.levels], dtype=bool)
        return PlaneBoxes(self.boxes.index[own], self.boxes.xyxy[own], self.boxes.scores[own])

    @property
    def key_slices(self) -> tuple[int, ...]:
        """The slice of the best box of each vertebra, from the head down."""
        best: dict[str, tuple[float, int]] = {}
        for level, index, score in zip(
            self.levels, self.boxes.index.tolist(), self.boxes.scores.tolist(), strict=True
        ):
            if level not in best or score > best[level][0]:
                best[level] = (score, index)
        return tuple(sorted({index for _, index in best.values()}))


NO_BOXES = LeveledBoxes(PlaneBoxes(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0)), ())


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The findings of one study.

    Attributes:
        report: Scores, calls and their texts.
        found: Boxes that reach the threshold; empty without a localiser.
    """

    report: StudyReport
    found: LeveledBoxes

    @property
    def key_slices(self) -> tuple[int, ...]:
        """Slices worth showing: of the best boxes, else the peaks of called vertebrae."""
        if self.found.levels:
            return self.found.key_slices
        called = {row.peak for row in self.report.vertebrae if row.called}
        return tuple(sorted(called or {self._peak}))

    @property
    def _peak(self) -> int:
        probs = self.report.slice_probs
        return 0 if np.isnan(probs).all() else int(np.nanargmax(probs))


def gather_findings(
    report: StudyReport,
    predictions: SlicePredictions,
    pair: BundlePair,
    raw: RawDetections | None = None,
) -> Findings:
    """Join a report with the boxes that reach the localiser's threshold."""
    if raw is None:
        return Findings(report, NO_BOXES)
    fused = detect(raw, FusionSettings())
    owners = track_owners(fused, predictions.vertebra_probs)
    sure = fused.scores >= operating_point(pair.fracture, "box").threshold
    kept = PlaneBoxes(fused.slice_index[sure], fused.xyxy[sure], fused.scores[sure])
    return Findings(report, LeveledBoxes(kept, _levels(owners, fused.track[sure].tolist())))


def annotated_boxes(annotation: StudyAnnotation, volume: CTVolume) -> LeveledBoxes:
    """The boxes that somebody accepted or drew, on the slices of the volume."""
    placed, levels = list[BoxPrediction](), list[str]()
    for box in annotation.boxes:
        if box.kept:
            found = boxes_on_volume([(box.slice_number, box.xyxy)], volume)
            placed += found
            levels += [box.vertebra or ""] * len(found)
    boxes = PlaneBoxes(
        np.array([box.slice_index for box in placed], np.int64),
        np.array([box.xyxy for box in placed], np.float64).reshape(-1, 4),
        np.array([box.score for box in placed], np.float64),
    )
    return LeveledBoxes(boxes, tuple(levels), annotation.author)


def _levels(owners: NDArray[np.float64], tracks: Sequence[int]) -> tuple[str, ...]:
    """Name the likeliest vertebra of each track, "" where none is in view."""
    names = [
        VERTEBRAE[int(own.argmax())] if own.max(initial=0.0) >= PRESENT else "" for own in owners
    ]
    return tuple(names[track] for track in tracks)

"""What a segmenter makes of a real scan whose levels a reader has marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.experiments.presence_auc import presence_auc
from core.inference.segmentation import SegmentationPredictor
from core.preprocessing.spine_grid import OTHER_VERTEBRA
from core.types import CTVolume


@dataclass(frozen=True, slots=True)
class SegmenterCheck:
    """A segmenter on one scan.

    Attributes:
        name: Name of the bundle.
        found: The vertebrae C1 to C7 that it labels.
        levels: By marked level, the vertebra with the largest area on the middle slice of that
            level: "C1".."C7", "other" or "none". Empty without `levels.csv`.
        presence_auc: As in `NetworkCheck`, of v_ij from its labels.
    """

    name: str
    found: tuple[str, ...]
    levels: dict[str, str]
    presence_auc: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "found": list(self.found),
            "levels": self.levels,
            "presence_auc": self.presence_auc,
        }


def check_segmenter(
    predictor: SegmentationPredictor, volume: CTVolume, present: NDArray[np.bool_] | None
) -> SegmenterCheck:
    """Run a segmenter on a scan.

    Args:
        predictor: The segmenter.
        volume: The scan.
        present: bool (n_slices, 7), the marked levels; None where none are marked.
    """
    segmented = predictor.segment(volume)
    levels: dict[str, str] = {}
    areas: dict[str, float] = {}
    if present is not None:
        areas = presence_auc(segmented.presence(), present)
        for name, marked in zip(VERTEBRAE, present.T, strict=True):
            if marked.any():
                middle = int(np.median(np.flatnonzero(marked)))
                levels[name] = _largest(segmented.slice_labels(middle))
    return SegmenterCheck(
        name=predictor.bundle.config.name,
        found=tuple(VERTEBRAE[label - 1] for label in segmented.middles_mm()),
        levels=levels,
        presence_auc=areas,
    )


def _largest(labels: NDArray[np.uint8]) -> str:
    """The vertebra with the largest area on a slice."""
    areas = np.bincount(labels.ravel(), minlength=OTHER_VERTEBRA + 1)[1:]
    return (*VERTEBRAE, "other")[int(areas.argmax())] if areas.any() else "none"

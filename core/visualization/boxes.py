"""Boxes on slices joined along z to boxes in the patient, in LPS mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.boxes.tracks import Box3D as Track
from core.types import BoxPrediction, CTVolume

MAX_GAP_SLICES: Final = 2
"""Slices without a box that a lesion may skip; 108 of RSNA's 235 boxed studies have gaps."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneBox:
    """A box in the patient.

    Attributes:
        corners: float64 (8, 3), LPS mm; the first four on its most cranial side, in turn.
        slices: First and last slice index.
        score: Highest score of its slices' boxes; 1 for truth.
        n_boxes: How many slices carry one of its boxes.
    """

    corners: NDArray[np.float64]
    slices: tuple[int, int]
    score: float
    n_boxes: int

    @property
    def center(self) -> NDArray[np.float64]:
        """Middle, LPS mm."""
        return self.corners.mean(axis=0)


def join_boxes(boxes: Iterable[BoxPrediction], volume: CTVolume) -> tuple[SceneBox, ...]:
    """Join boxes of neighbouring slices that overlap, and enclose each chain.

    A box joins the chain whose last box it overlaps most, at most `MAX_GAP_SLICES` slices further
    up; without one it begins a chain of its own.

    Args:
        boxes: In pixels of `volume`; xyxy are pixel edges.
        volume: The series.

    Returns:
        Highest score first.
    """
    chains: list[list[BoxPrediction]] = []
    for box in sorted(boxes, key=lambda b: (b.slice_index, -b.score)):
        near = [
            (_iou(chain[-1].xyxy, box.xyxy), k)
            for k, chain in enumerate(chains)
            if 0 < box.slice_index - chain[-1].slice_index <= MAX_GAP_SLICES + 1
        ]
        overlap, k = max(near, default=(0.0, 0))
        if overlap > 0:
            chains[k].append(box)
        else:
            chains.append([box])
    found = [_enclosing(chain, volume) for chain in chains]
    return tuple(sorted(found, key=lambda box: -box.score))


def place_tracks(tracks: Iterable[Track], volume: CTVolume) -> tuple[SceneBox, ...]:
    """A localiser's fractures in the patient, highest score first.

    Args:
        tracks: From `core.inference.boxes.tracks.boxes_3d`, in pixels of `volume`.
        volume: The series.
    """
    found = (
        SceneBox(
            corners=_corners((track.first_slice, track.last_slice), track.xyxy, volume),
            slices=(track.first_slice, track.last_slice),
            score=track.score,
            n_boxes=track.n_boxes,
        )
        for track in tracks
    )
    return tuple(sorted(found, key=lambda box: -box.score))


def _enclosing(chain: list[BoxPrediction], volume: CTVolume) -> SceneBox:
    edges = np.array([box.xyxy for box in chain])
    (x0, y0), (x1, y1) = edges[:, :2].min(axis=0).tolist(), edges[:, 2:].max(axis=0).tolist()
    slices = chain[0].slice_index, chain[-1].slice_index
    corners = _corners(slices, (x0, y0, x1, y1), volume)
    return SceneBox(corners, slices, max(box.score for box in chain), len(chain))


def _corners(
    slices: tuple[int, int], xyxy: tuple[float, float, float, float], volume: CTVolume
) -> NDArray[np.float64]:
    """float64 (8, 3), LPS mm; pixel edges lie half a pixel before the pixels' middles."""
    x0, y0, x1, y1 = (edge - 0.5 for edge in xyxy)
    ring = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    index = np.array([(z, y, x) for z in (slices[0] - 0.5, slices[1] + 0.5) for y, x in ring])
    return index @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def _iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (sum(areas) - shared)

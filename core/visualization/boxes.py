"""Boxes on slices joined along z to boxes in the patient, in LPS mm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.boxes.tracks import Box3D as Track
from core.inference.boxes.tracks import Detections, boxes_3d, link_tracks
from core.types import BoxPrediction, CTVolume

MAX_GAP_SLICES: Final = 2
"""Slices without a box that a lesion may skip; 108 of RSNA's 235 boxed studies have gaps."""
_ANY_OVERLAP: Final = 1e-9

Corners = NDArray[np.float64]
"""Of a box in the patient, float64 (8, 3), LPS mm; the first four on its most cranial side."""


def join_boxes(boxes: Iterable[BoxPrediction], volume: CTVolume) -> tuple[Corners, ...]:
    """Join boxes of neighbouring slices that overlap, and enclose each chain.

    A box joins the chain whose last box it overlaps most, at most `MAX_GAP_SLICES` slices further
    up; without one it begins a chain of its own.

    Args:
        boxes: In pixels of `volume`; xyxy are pixel edges.
        volume: The series.
    """
    known = list(boxes)
    slices = np.array([box.slice_index for box in known], np.int64)
    xyxy = np.array([box.xyxy for box in known], np.float64).reshape(-1, 4)
    scores = np.array([box.score for box in known], np.float64)
    track = link_tracks(slices, xyxy, scores, iou=_ANY_OVERLAP, gap=MAX_GAP_SLICES + 1)
    found = Detections(volume.study_uid, slices, xyxy, scores, track, volume.n_slices)
    return place_tracks(boxes_3d(found), volume)


def place_tracks(tracks: Iterable[Track], volume: CTVolume) -> tuple[Corners, ...]:
    """Fractures on slices as boxes in the patient, in the same order.

    Args:
        tracks: From `core.inference.boxes.tracks.boxes_3d`, in pixels of `volume`.
        volume: The series.
    """
    return tuple(_corners(track, volume) for track in tracks)


def _corners(track: Track, volume: CTVolume) -> Corners:
    """Pixel edges lie half a pixel before the pixels' middles."""
    x0, y0, x1, y1 = (edge - 0.5 for edge in track.xyxy)
    ring = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    ends = track.first_slice - 0.5, track.last_slice + 0.5
    index = np.array([(z, y, x) for z in ends for y, x in ring])
    return index @ volume.affine[:3, :3].T + volume.affine[:3, 3]

"""Where the body lies on the slices of a scan."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from core.types import BoxXyxy, CTVolume

BODY_HU: Final = -300
"""HU from which a voxel is body, or something as dense."""
_SLICES: Final = 24
"""Slices that the body is looked for on."""
_CELL_MM: Final = 4.0
"""Distance of the voxels that are looked at."""
_THIN_MM: Final = 16.0
"""What is thinner is a table, a tube or a speck."""
_MARGIN: Final = 0.02


def body_box(volume: CTVolume) -> BoxXyxy:
    """The part of the slices that shows the body, with a margin; all of them without a body.

    The table does not count: it is thin, or lies apart from the body.

    Args:
        volume: int16 HU, (z, y, x).

    Returns:
        Left, top, right, bottom in pixels of the slices.
    """
    height, width = volume.hu.shape[1:]
    step = max(volume.n_slices // _SLICES, 1)
    _, row_mm, column_mm = volume.spacing_mm
    down, across = (max(round(_CELL_MM / mm), 1) for mm in (row_mm, column_mm))
    dense = volume.hu[::step, ::down, ::across] > BODY_HU
    cells = tuple(
        2 * round(_THIN_MM / (2 * every * mm)) + 1  # odd, so that it has a middle
        for every, mm in ((across, column_mm), (down, row_mm))
    )
    seen = _largest(_solid(dense, cells))
    if seen is None:
        return 0.0, 0.0, float(width), float(height)
    top, bottom = _extent(np.asarray(seen.any(axis=1)), down, height)
    left, right = _extent(np.asarray(seen.any(axis=0)), across, width)
    return left, top, right, bottom


def _solid(dense: NDArray[np.bool_], cells: tuple[int, ...]) -> NDArray[np.int64]:
    """On how many slices each place is inside something thick, int64 (rows, columns)."""
    brush = cv2.getStructuringElement(cv2.MORPH_RECT, cells)
    # The outside is empty, so that what is cut by the field's edge is thin as well.
    solid = [
        np.asarray(cv2.morphologyEx(one, cv2.MORPH_OPEN, brush, borderValue=0))
        for one in dense.astype(np.uint8)
    ]
    return np.asarray(np.sum(solid, axis=0), np.int64)


def _largest(count: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """The connected part with the most voxels; None where nothing is."""
    _, labels = cv2.connectedComponents((count > 0).astype(np.uint8), connectivity=4)
    sizes = np.bincount(np.asarray(labels).ravel(), weights=count.ravel())
    if len(sizes) < 2:
        return None
    return np.asarray(labels) == 1 + int(sizes[1:].argmax())


def _extent(found: NDArray[np.bool_], every: int, length: int) -> tuple[float, float]:
    """First and last pixel of an axis with the body, with a margin."""
    places = np.flatnonzero(found)
    margin = _MARGIN * length + every
    first, last = places[0] * every - margin, (places[-1] + 1) * every + margin
    return max(float(first), 0.0), min(float(last), float(length))

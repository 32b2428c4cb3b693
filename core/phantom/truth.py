"""From the exact mask of the fracture lines to boxes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BOX_MARGIN_MM: Final = 3.0
MIN_VOXELS: Final = 4
"""A slice with fewer marked voxels has no box: nobody would draw one."""

Box = tuple[int, int, int, int]


def boxes_by_vertebra(clefts: NDArray[np.integer[Any]], pixel_mm: float) -> list[tuple[int, Box]]:
    """(slice index, xyxy) around the lines of each fractured vertebra, one per vertebra and slice.

    Args:
        clefts: Integers (z, y, x), label of the vertebra in voxels of a fracture line.
        pixel_mm: In-plane spacing.
    """
    labels = [label for label in np.unique(clefts) if label > 0]
    found = [box for label in labels for box in boxes_of(clefts == label, pixel_mm)]
    return sorted(found)


def boxes_of(clefts: NDArray[np.integer[Any]], pixel_mm: float) -> list[tuple[int, Box]]:
    """(slice index, xyxy) around the fracture lines, at most one per slice, as in RSNA.

    `BOX_MARGIN_MM` is left free around the lines, clipped at the image's edge.

    Args:
        clefts: Integers (z, y, x), above 0 in voxels that a fracture line crosses.
        pixel_mm: In-plane spacing.

    Returns:
        In slice order; xyxy are pixel edges: x0, y0 the first column and row inside, x1, y1 the
        first beyond.
    """
    margin = round(BOX_MARGIN_MM / pixel_mm)
    rows, cols = clefts.shape[1:]
    found: list[tuple[int, Box]] = []
    for i in np.flatnonzero(np.count_nonzero(clefts, axis=(1, 2)) >= MIN_VOXELS):
        ys, xs = np.nonzero(clefts[i])
        x0, y0 = max(int(xs.min()) - margin, 0), max(int(ys.min()) - margin, 0)
        x1 = min(int(xs.max()) + 1 + margin, cols)
        y1 = min(int(ys.max()) + 1 + margin, rows)
        found.append((int(i), (x0, y0, x1, y1)))
    return found

"""From the exact mask of the fracture lines to the truth tables: boxes and labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.constants import MASK_LABELS, VERTEBRAE

BOX_MARGIN_MM: Final = 3.0
MIN_VOXELS: Final = 4
"""A slice with fewer marked voxels has no box: nobody would draw one."""

Box = tuple[int, int, int, int]


def boxes_of(
    clefts: NDArray[np.integer[Any]], pixel_mm: float, *, margin_mm: float = BOX_MARGIN_MM
) -> list[tuple[int, Box]]:
    """(slice index, xyxy) around the fracture lines, at most one per slice, as in RSNA.

    Args:
        clefts: Integers (z, y, x), above 0 in voxels that a fracture line crosses.
        pixel_mm: In-plane spacing.
        margin_mm: Free space left around the lines; clipped at the image's edge.

    Returns:
        In slice order; xyxy are pixel edges: x0, y0 the first column and row inside, x1, y1 the
        first beyond.

    Raises:
        ValueError: The mask is not a volume or the spacing is not above 0.
    """
    if clefts.ndim != 3:
        raise ValueError(
            f"The fracture mask has {clefts.ndim} axes, but boxes need (z, y, x); pass a volume."
        )
    if not pixel_mm > 0:
        raise ValueError(f"The pixel spacing must be above 0 mm, but it is {pixel_mm}.")
    margin = round(margin_mm / pixel_mm)
    rows, cols = clefts.shape[1:]
    found: list[tuple[int, Box]] = []
    for i in np.flatnonzero(np.count_nonzero(clefts, axis=(1, 2)) >= MIN_VOXELS):
        ys, xs = np.nonzero(clefts[i])
        x0, y0 = max(int(xs.min()) - margin, 0), max(int(ys.min()) - margin, 0)
        x1 = min(int(xs.max()) + 1 + margin, cols)
        y1 = min(int(ys.max()) + 1 + margin, rows)
        found.append((int(i), (x0, y0, x1, y1)))
    return found


def labels_of(broken: Iterable[str]) -> tuple[int, ...]:
    """y_j for C1..C7, each 0 or 1, from the names of the fractured vertebrae.

    Raises:
        ValueError: A name is not one of C1..C7.
    """
    names = set(broken)
    if unknown := names - set(MASK_LABELS):
        raise ValueError(f"{sorted(unknown)} are not cervical vertebrae; use C1..C7.")
    return tuple(int(name in names) for name in VERTEBRAE)

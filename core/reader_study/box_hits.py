"""Whether boxes that a reader drew mark a true one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from core.reader_study.records import MarkedBox
from core.types import BoxPrediction

SLICES: Final = 2
"""A box counts on slices up to this far from a true one."""
MARGIN_PX: Final = 10.0
"""Distance from the true box at which the centre of a drawn one still counts."""


def boxes_right(marked: Iterable[MarkedBox], true: Sequence[BoxPrediction]) -> int:
    """Count drawn boxes whose centre lies in a true box, or close to it, on a slice near it.

    Args:
        marked: Boxes of the reader, on slices of the study.
        true: True boxes, on the same slices.
    """
    return sum(any(_marks(box, one) for one in true) for box in marked)


def _marks(box: MarkedBox, true: BoxPrediction) -> bool:
    left, top, right, bottom = box.xyxy
    x, y = (left + right) / 2, (top + bottom) / 2
    low_x, low_y, high_x, high_y = true.xyxy
    inside_x = low_x - MARGIN_PX <= x <= high_x + MARGIN_PX
    inside_y = low_y - MARGIN_PX <= y <= high_y + MARGIN_PX
    return abs(box.slice_index - true.slice_index) <= SLICES and inside_x and inside_y

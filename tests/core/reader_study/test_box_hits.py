"""Boxes of readers count where they mark a true one."""

from __future__ import annotations

import pytest

from core.reader_study.box_hits import boxes_right
from core.reader_study.records import MarkedBox
from core.types import BoxPrediction

TRUE = BoxPrediction((100.0, 50.0, 140.0, 90.0), 20)


@pytest.mark.parametrize(
    ("slice_index", "xyxy", "right"),
    [
        (20, (110, 60, 130, 80), 1),
        (22, (110, 60, 130, 80), 1),
        (23, (110, 60, 130, 80), 0),
        (20, (130, 60, 169, 80), 1),
        (20, (132, 60, 170, 80), 0),
        (20, (0, 0, 512, 512), 0),
    ],
)
def test_the_centre_of_a_box_decides(slice_index, xyxy, right):
    box = MarkedBox(slice_index=slice_index, xyxy=xyxy)
    assert boxes_right([box], [TRUE]) == right


def test_each_drawn_box_counts_once():
    box = MarkedBox(slice_index=20, xyxy=(110, 60, 130, 80))
    assert boxes_right([box, box], [TRUE, TRUE]) == 2
    assert boxes_right([box], []) == 0

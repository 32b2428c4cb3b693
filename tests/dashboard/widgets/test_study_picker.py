"""The study on which a page opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.types import StudyRecord
from dashboard.widgets.study_picker import telling_study


@pytest.mark.parametrize(
    ("truths", "first"),
    [
        ([False, None, True, True], 2),
        ([False, False], 0),
        ([None, None], 0),  # A root whose table is not there yet.
    ],
)
def test_a_page_opens_on_a_fracture_and_otherwise_on_the_first_study(truths, first):
    records = [
        StudyRecord(str(k), Path(), None if truth is None else (truth, *[False] * 6))
        for k, truth in enumerate(truths)
    ]
    assert telling_study(records) == first


def test_a_page_about_boxes_opens_on_a_study_that_has_some():
    fractured = (True, *[False] * 6)
    without = StudyRecord("0", Path(), fractured)
    boxed = StudyRecord("1", Path(), fractured, boxes=(object(),))
    assert telling_study([without, boxed], boxed=True) == 1
    assert telling_study([without, boxed]) == 0
    assert telling_study([without], boxed=True) == 0

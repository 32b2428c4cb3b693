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

"""Rows of the box editor, and what becomes of edits."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from core.annotations.records import AnnotatedBox, StudyAnnotation
from core.errors import AnnotationError
from core.types import AS_STORED, AxisOrder, BoxPrediction, CTVolume
from dashboard.widgets.annotation_rows import (
    ACCEPT,
    DATA_SET,
    DRAWN,
    LOCALISER,
    REJECT,
    UNDECIDED,
    judged_boxes,
    other_boxes,
    rows_frame,
    slice_rows,
)

PREDICTED = BoxPrediction((4.0, 5.0, 10.0, 12.0), 2, 0.75)
TRUTH = BoxPrediction((20.0, 5.0, 26.0, 12.0), 2)


def volume(axes=AS_STORED, shift=None):
    n, rows, columns = 5, 30, 40
    return CTVolume(
        hu=np.zeros((n, rows, columns), np.int16), spacing_mm=(1.0, 0.5, 0.5), affine=np.eye(4),
        z_mm=np.arange(n)[::-1] * 1.0, instance_numbers=(11, 12, 13, 14, 15),
        source_files=(), study_uid="1.2", series_uid="1.3", axes=axes, shift_px=shift,
    )  # fmt: skip


@pytest.fixture
def scan(tmp_path):
    made = volume()
    object.__setattr__(made, "source_files", tuple(tmp_path / f"{k}.dcm" for k in range(101, 106)))
    return made


def version(*boxes):
    return StudyAnnotation(
        study_id="1.2", revision=1, base=0, author="AB", at=datetime.now(UTC), boxes=boxes
    )


def rows_of(scan, annotation=None):
    return slice_rows(2, scan, annotation, [PREDICTED, BoxPrediction((1, 1, 2, 2), 3)], [TRUTH])


def test_a_slice_lists_the_data_sets_and_the_predicted_boxes(scan):
    rows = rows_of(scan)
    assert [(row.source, row.decision) for row in rows] == [
        (DATA_SET, ACCEPT), (LOCALISER, UNDECIDED),
    ]  # fmt: skip
    frame = rows_frame(rows)
    assert frame["Left"].tolist() == [20.0, 4.0]
    assert frame["Score"].tolist()[1] == 0.75
    assert rows_frame(()).empty


def test_edits_become_judged_boxes_on_the_file(scan):
    rows = rows_of(scan)
    changes = {
        "edited_rows": {1: {"Decision": ACCEPT, "Vertebra": "C4", "Right": 11.5}},
        "added_rows": [{"Left": 1, "Top": 2, "Right": 3.5, "Bottom": 4, "Vertebra": "C5"}],
        "deleted_rows": [],
    }
    kept, redrawn, added = judged_boxes(rows, changes, 2, scan)
    assert (kept.status, kept.slice_number, kept.xyxy) == ("accepted", 103, TRUTH.xyxy)
    assert (redrawn.status, redrawn.vertebra, redrawn.xyxy) == ("redrawn", "C4", (4, 5, 11.5, 12))
    assert (redrawn.predicted, redrawn.score) == (PREDICTED.xyxy, 0.75)
    assert (added.status, added.vertebra, added.xyxy) == ("added", "C5", (1, 2, 3.5, 4))


def test_rejected_and_undecided_and_deleted_rows(scan):
    rows = rows_of(scan)
    (only,) = judged_boxes(rows, {"edited_rows": {"0": {"Decision": REJECT, "Left": 3}}}, 2, scan)
    assert (only.status, only.xyxy) == ("rejected", TRUTH.xyxy)
    assert judged_boxes(rows, {"deleted_rows": [0]}, 2, scan) == ()


def test_what_was_saved_is_shown_again_and_not_twice(scan):
    boxes = judged_boxes(
        rows_of(scan),
        {"edited_rows": {1: {"Decision": ACCEPT, "Right": 11.5}}},
        2,
        scan,
    )
    rows = rows_of(scan, version(*boxes))
    assert [(row.source, row.decision) for row in rows] == [(DATA_SET, ACCEPT), (DRAWN, ACCEPT)]
    assert rows[1].xyxy == (4, 5, 11.5, 12)
    assert other_boxes(version(*boxes), 2, scan) == ()
    assert other_boxes(version(*boxes), 1, scan) == boxes


def test_turned_files_and_a_tilt_are_mapped_there_and_back(scan):
    turned = volume(
        AxisOrder((0, 1, 2), (False, True, True)), np.array([[0.5, 1.25]] * 5, np.float64)
    )
    object.__setattr__(turned, "source_files", scan.source_files)
    boxes = judged_boxes(rows_of(turned), {"edited_rows": {1: {"Decision": ACCEPT}}}, 2, turned)
    assert boxes[0].xyxy != TRUTH.xyxy
    rows = rows_of(turned, version(*boxes))
    assert [row.xyxy for row in rows] == [pytest.approx(TRUTH.xyxy), pytest.approx(PREDICTED.xyxy)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"added_rows": [{"Left": 1, "Top": 2}]}, "needs left, top, right and bottom"),
        ({"edited_rows": {0: {"Left": 30.0}}}, "left < right"),
    ],
)
def test_a_box_that_is_none_is_refused_in_one_sentence(scan, changes, told):
    with pytest.raises(AnnotationError, match=told):
        judged_boxes(rows_of(scan), changes, 2, scan)


def test_an_accepted_box_of_the_data_set_has_no_score(scan):
    box = AnnotatedBox(slice_number=103, xyxy=TRUTH.xyxy, status="accepted")
    assert rows_of(scan, version(box))[0].source == DATA_SET

"""Boxes on files and on slices enclose the same part of the patient."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from core.dataset.slice_table import volume_file_numbers
from core.dataset.true_boxes import boxes_on_volume
from core.dicom.box_mapping import BoxMapping, PlaneBoxes
from core.dicom.series import read_series
from core.inference.boxes.boxes_csv import file_boxes
from core.inference.boxes.tracks import Detections
from core.types import AxisOrder
from tests.core.dicom.dicom_factory import made_hu
from tests.core.dicom.test_orientation import AFFINE, names
from tests.core.dicom.turned_series import ORDERS, write_turned

SHAPE = (10, 12, 14)
SAGITTAL = AxisOrder((1, 2, 0), (True, False, False))
"""Rows of a sagittal file run to the head."""


def boxes(rows) -> PlaneBoxes:
    table = np.array(rows, float).reshape(-1, 6)
    return PlaneBoxes(table[:, 0].astype(np.int64), table[:, 1:5], table[:, 5])


def found(rows) -> Detections:
    of = boxes(rows)
    return Detections("1", of.index, of.xyxy, of.scores, np.zeros(len(of), np.int64), SHAPE[0])


def in_patient(path, xyxy) -> np.ndarray:
    """Corners of a box by the file's own header: C.7.6.2.1.1 of PS3.3, pixels ± a half."""
    header = pydicom.dcmread(path, stop_before_pixels=True)
    row, column = np.split(np.array(header.ImageOrientationPatient, float), 2)
    dy, dx = (float(step) for step in header.PixelSpacing)
    half = np.cross(row, column) * float(header.SliceThickness) / 2
    start = np.array(header.ImagePositionPatient, float)
    return np.array([
        start + row * dx * (x - 0.5) + column * dy * (y - 0.5) + side * half
        for x in xyxy[::2] for y in xyxy[1::2] for side in (-1, 1)
    ])  # fmt: skip


def volume_mm3(corners) -> float:
    return float(np.prod(corners.max(axis=0) - corners.min(axis=0)))


@pytest.mark.parametrize("order", ORDERS, ids=names)
def test_a_fracture_lies_on_the_files_where_it_lies_in_the_patient(tmp_path, order):
    """Slices 3 to 5, x 2 to 6, y 4 to 9: written in file pixels, read back in slice pixels."""
    write_turned(tmp_path / "s", made_hu(*SHAPE), AFFINE, order)
    volume = read_series(tmp_path / "s", jobs=1)
    rows = [[i, 2, 4, 6, 9, 0.5 + i / 10] for i in (3, 4, 5)]
    on_files = file_boxes(found(rows), volume)
    paths = {n: p for n, p in zip(volume_file_numbers(volume), volume.source_files, strict=True)}
    corners = [in_patient(paths[box.slice_number], box.xyxy) for box in on_files]
    low, high = (AFFINE[:3] @ (*c, 1.0) for c in ((5.5, 3.5, 1.5), (2.5, 8.5, 5.5)))
    np.testing.assert_allclose(np.concatenate(corners).min(axis=0), low, atol=1e-6)
    np.testing.assert_allclose(np.concatenate(corners).max(axis=0), high, atol=1e-6)
    assert sum(map(volume_mm3, corners)) == pytest.approx(np.prod(high - low), rel=1e-6)
    assert max(box.score for box in on_files) == 1.0
    back = boxes_on_volume([(box.slice_number, box.xyxy) for box in on_files], volume)
    back.sort(key=lambda box: box.slice_index)
    assert [box.slice_index for box in back] == [3, 4, 5]
    for box in back:
        np.testing.assert_allclose(box.xyxy, (2, 4, 6, 9), atol=1e-6)


def test_boxes_of_axial_files_keep_their_order_fractions_and_shift():
    shift = np.column_stack([np.arange(10.0), -np.arange(10.0)])
    mapping = BoxMapping(AxisOrder(flips=(False, True, False)), SHAPE, shift)
    given = boxes([[7, 1.25, 2.5, 3, 4, 0.9], [2, 0, 1, 5, 6, 0.1], [7, 1.25, 2.5, 3, 4, 0.3]])
    moved = mapping.to_volume(given)
    assert moved.index.tolist() == [7, 2, 7]
    assert moved.xyxy[0].tolist() == [8.25, 12 - (4 - 7), 10, 12 - (2.5 - 7)]
    back = mapping.to_files(moved)
    np.testing.assert_allclose(back.xyxy, given.xyxy)
    assert back.scores.tolist() == [0.9, 0.1, 0.3]


def test_a_box_of_a_sagittal_file_is_one_line_of_pixels_on_each_slice():
    mapping = BoxMapping(SAGITTAL, SHAPE)
    (one, *others) = zip(*(
        getattr(mapping.to_volume(boxes([[4, 3, 1, 8, 3, 1.0]])), name)
        for name in ("index", "xyxy")
    ), strict=True)  # fmt: skip
    assert [int(one[0]), *(int(row[0]) for row in others)] == [7, 8]
    assert one[1].tolist() == others[0][1].tolist() == [4, 3, 5, 8]


def test_sections_that_touch_are_one_box_and_others_stay_apart():
    mapping = BoxMapping(SAGITTAL, SHAPE)
    files = boxes([[4, 3, 0, 8, 1, 0.2], [5, 2, 0, 6, 1, 0.7], [7, 3, 0, 8, 1, 0.4]])
    found_ = mapping.to_volume(files)
    assert found_.index.tolist() == [9, 9]
    assert found_.xyxy.tolist() == [[4, 2, 6, 8], [7, 3, 8, 8]]
    assert found_.scores.tolist() == [0.7, 0.4]


def test_a_thin_box_between_two_planes_goes_to_the_nearest_and_one_outside_to_none():
    mapping = BoxMapping(AxisOrder((1, 2, 0)), SHAPE)
    assert mapping.to_volume(boxes([[0, 1, 2.6, 3, 2.9, 1]])).index.tolist() == [2]
    assert len(mapping.to_volume(boxes([[0, 1, 10.7, 3, 12.9, 1]]))) == 0
    assert len(mapping.to_volume(boxes([]))) == 0
    assert mapping.to_volume(boxes([])).xyxy.shape == (0, 4)


def test_a_shift_of_sagittal_files_moves_the_box_along_both_ways():
    shift = np.full((14, 2), (1.0, -2.0))
    mapping = BoxMapping(AxisOrder((1, 2, 0)), SHAPE, shift)
    there = mapping.to_volume(boxes([[4, 3, 4, 8, 6, 1.0]]))
    assert there.index.tolist() == [2, 3]
    assert there.xyxy.tolist() == [[4, 4, 5, 9]] * 2
    back = mapping.to_files(there)
    assert (back.index.tolist(), back.xyxy.tolist()) == ([4], [[3, 4, 8, 6]])

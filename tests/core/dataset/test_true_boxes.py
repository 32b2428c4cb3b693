"""True boxes find the slice of exactly their file's number, and move as the slice did."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.dataset.true_boxes import boxes_on_volume, by_slice, place_boxes
from core.dicom.box_mapping import BoxMapping
from tests.core.visualization.solids import volume_of

BOX = (1.0, 2.0, 3.0, 4.0)


def volume_from(*names, instance_numbers=None):
    volume = volume_of(np.zeros((len(names), 9, 9)))
    return dataclasses.replace(
        volume,
        source_files=tuple(Path("study") / name for name in names),
        instance_numbers=instance_numbers or tuple(range(1, len(names) + 1)),
    )


def test_a_box_moves_with_its_slice_and_one_on_a_foreign_file_is_left_out():
    volume = dataclasses.replace(
        volume_from("7.dcm", "6.dcm", "5.dcm"), shift_px=np.array([[0.0, 0], [0, 1.5], [0, 3]])
    )
    found = boxes_on_volume(((5, BOX), (6, (0.0, 0.0, 2.0, 2.0)), (99, BOX)), volume)
    assert [box.slice_index for box in found] == [2, 1]
    assert found[0].xyxy == (1.0, 5.0, 3.0, 7.0)


@pytest.mark.parametrize(
    "names",
    [
        ("10.dcm", "1.dcm", "11.dcm"),
        ("010.dcm", "001.dcm", "011.dcm"),  # numbers, not spellings
        ("10", "1", "11"),  # no ending
    ],
)
def test_one_is_neither_ten_nor_eleven(names):
    volume = volume_from(*names, instance_numbers=(1, 10, 11))
    assert [b.slice_index for b in boxes_on_volume([(1, BOX)], volume)] == [1]
    assert [b.slice_index for b in boxes_on_volume([(10, BOX)], volume)] == [0]


def test_a_name_that_only_begins_with_the_number_goes_by_its_instance_number():
    volume = volume_from("1.2.840.7", "1.2.840.8", "IM0001", instance_numbers=(31, 32, 33))
    assert boxes_on_volume([(1, BOX)], volume) == []
    assert [b.slice_index for b in boxes_on_volume([(32, BOX), (33, BOX)], volume)] == [1, 2]


def test_boxes_by_slice_hold_all_of_a_slice():
    found = by_slice(
        place_boxes([(3, BOX), (9, BOX), (3, (0, 0, 1, 1))], np.array([9, 3]), BoxMapping())
    )
    assert found[1].tolist() == [list(BOX), [0, 0, 1, 1]]
    assert found[0].shape == (1, 4)
    assert found[0].dtype == np.float64

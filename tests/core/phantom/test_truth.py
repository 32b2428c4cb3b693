"""Boxes say where the fracture mask lies, and nothing more."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.phantom.truth import BOX_MARGIN_MM, MIN_VOXELS, boxes_by_vertebra, boxes_of

MASKS = arrays(np.uint8, (3, 12, 15), elements=st.sampled_from([0, 0, 0, 2, 6]))


def test_an_empty_mask_has_no_box():
    assert boxes_of(np.zeros((5, 8, 8), np.uint8), 0.8) == []


def test_two_lines_on_one_slice_share_one_box_with_a_margin_on_every_side():
    mask = np.zeros((4, 100, 120), np.uint8)
    mask[2, 40:44, 50] = 3
    mask[2, 60:64, 70] = 4
    assert boxes_of(mask, 1.0) == [(2, (47, 37, 74, 67))]
    assert round(BOX_MARGIN_MM) == 3


def test_the_margin_is_in_mm_and_stops_at_the_edge_of_the_image():
    mask = np.zeros((1, 30, 40), np.uint8)
    mask[0, 0:5, 36:39] = 1
    assert boxes_of(mask, 0.5) == [(0, (30, 0, 40, 11))]


def test_a_slice_with_a_few_stray_voxels_has_no_box():
    mask = np.zeros((2, 9, 9), np.uint8)
    mask[0, 4, : MIN_VOXELS - 1] = 1
    mask[1, 4, :MIN_VOXELS] = 1
    assert [i for i, _ in boxes_of(mask, 1.0)] == [1]


@given(MASKS, st.floats(0.3, 2.0))
def test_there_is_at_most_one_box_a_slice_and_it_encloses_all_marked_voxels(mask, pixel_mm):
    boxes = boxes_of(mask, pixel_mm)
    slices = [i for i, _ in boxes]
    assert slices == sorted(set(slices))
    assert set(slices) == {i for i in range(len(mask)) if (mask[i] > 0).sum() >= MIN_VOXELS}
    for i, (x0, y0, x1, y1) in boxes:
        assert 0 <= x0 < x1 <= mask.shape[2]
        assert 0 <= y0 < y1 <= mask.shape[1]
        assert (mask[i, y0:y1, x0:x1] > 0).sum() == (mask[i] > 0).sum()


def test_two_fractured_vertebrae_on_a_slice_are_two_boxes_if_asked_for_by_vertebra():
    mask = np.zeros((3, 60, 60), np.uint8)
    mask[1, 10:14, 10] = 3
    mask[1, 40:44, 40] = 4
    mask[2, 40:44, 40] = 4
    found = boxes_by_vertebra(mask, 1.0)
    assert found == [(1, (7, 7, 14, 17)), (1, (37, 37, 44, 47)), (2, (37, 37, 44, 47))]

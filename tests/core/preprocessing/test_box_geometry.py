from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.preprocessing.augmentation import Augmentation, apply_augmentation
from core.preprocessing.box_geometry import (
    box_iou,
    boxes_from_square,
    boxes_to_square,
    clip_boxes,
    move_boxes,
)

SIZE = 96
BOX = np.array([[30.0, 34.0, 62.0, 54.0]])


@settings(max_examples=25, deadline=None)
@given(
    st.booleans(), st.floats(-0.08, 0.08), st.floats(-0.08, 0.08), st.floats(0.85, 1.15),
    st.floats(-6, 6),
)  # fmt: skip
def test_boxes_go_where_the_pixels_go(flip, right, down, scale, turn):
    change = Augmentation(turn, (right, down), scale, flip)
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[34:54, 30:62] = 255
    rows, columns = np.nonzero(apply_augmentation(image, change) > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(move_boxes(BOX, change, (SIZE, SIZE))[0], seen, atol=1.1)


def test_no_change_leaves_boxes_alone():
    np.testing.assert_allclose(move_boxes(BOX, Augmentation(), (SIZE, SIZE)), BOX)


def test_square_and_back():
    square = np.array([100.0, 120.0, 200.0, 220.0])
    inside = boxes_to_square(np.array([[100.0, 120.0, 150.0, 220.0]]), square, 50)
    np.testing.assert_allclose(inside, [[0, 0, 25, 50]])
    np.testing.assert_allclose(boxes_from_square(inside, square, 50), [[100, 120, 150, 220]])


def test_overlap_by_hand_and_of_nothing():
    boxes = np.array([[0.0, 0, 10, 10], [0.0, 0, 0, 0]])
    others = np.array([[5.0, 0, 15, 10], [20.0, 20, 30, 30], [0.0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others), [[1 / 3, 0, 0], [0, 0, 0]])


def test_overlap_agrees_with_torchvision():
    torch = pytest.importorskip("torch")
    from torchvision.ops import box_iou as theirs

    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 40, (30, 2))
    boxes = np.hstack([corner, corner + rng.uniform(1, 30, (30, 2))])
    expected = theirs(torch.from_numpy(boxes), torch.from_numpy(boxes[:7])).numpy()
    np.testing.assert_allclose(box_iou(boxes, boxes[:7]), expected)


def test_boxes_are_cut_off_at_the_edge():
    cut = clip_boxes(np.array([[-4.0, 5.0, 90.0, 70.0]]), 80, 60)
    np.testing.assert_allclose(cut, [[0, 5, 80, 60]])

"""Dice coefficients against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.preprocessing.label_overlap import overlap_of


def test_dice_is_twice_the_common_voxels_over_both_counts():
    truth = np.zeros((1, 1, 20), np.uint8)
    found = truth.copy()
    truth[..., :8], truth[..., 8:12] = 1, 2
    found[..., 2:9], found[..., 9:11], found[..., 15:17] = 1, 2, 8
    overlap = overlap_of(found, truth, voxel_mm3=200.0)
    # C1: 6 common of 8 and 7; C2: 2 of 4 and 2; the other vertebra is not there.
    assert overlap.dice[:2] == pytest.approx([12 / 15, 4 / 6])
    assert np.isnan(overlap.dice[2:]).all()
    assert overlap.seen.tolist() == [True, True] + [False] * 6


def test_a_vertebra_is_right_if_most_of_its_voxels_have_its_label():
    truth, found = np.full(10, 3, np.uint8), np.full(10, 3, np.uint8)
    found[:4] = 4
    assert overlap_of(found, truth, 100.0).right[2]
    found[:6] = 4
    assert not overlap_of(found, truth, 100.0).right[2]
    found[:] = 0
    assert not overlap_of(found, truth, 100.0).right[2]


def test_less_than_a_vertebra_is_not_measured_and_filling_does_not_count():
    truth, found = np.array([1] * 7 + [255] * 3, np.uint8), np.full(10, 1, np.uint8)
    assert not overlap_of(found, truth, 100.0).seen.any()
    assert overlap_of(found, truth, 120.0).dice[0] == 1.0


def test_labels_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        overlap_of(np.zeros(3, np.uint8), np.zeros(4, np.uint8), 1.0)

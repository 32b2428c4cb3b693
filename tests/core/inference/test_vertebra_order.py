"""Labels in an order that no spine has are corrected; others stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from core.inference.vertebra_order import in_order


def probs_of(labels):
    """0.8 for the label of each voxel, 0.1 for background and 0.1 for the next level."""
    probs = np.zeros((9, *labels.shape), np.float32)
    probs[0] = 0.1
    for label in range(9):
        probs[label][labels == label] += 0.8
        if label:
            probs[label % 8 + 1][labels == label] += 0.1
    return probs


def spine(*names, height=4):
    """Blocks with these labels from above, one plane apart."""
    labels = np.zeros((len(names) * (height + 1) + 2, 12, 12), np.uint8)
    for k, name in enumerate(names):
        labels[1 + k * (height + 1) : 1 + k * (height + 1) + height, 3:9, 3:9] = name
    return labels


def decoded(labels):
    return in_order(probs_of(labels)).argmax(axis=0)


@pytest.mark.parametrize(
    "names", [(1, 2, 3, 4, 5, 6, 7, 8), (3, 4), (8,), (2, 3, 5, 6), (6, 7, 8, 8)]
)
def test_labels_in_order_stay(names):
    labels = spine(*names)
    np.testing.assert_array_equal(decoded(labels), labels)


def test_a_level_out_of_order_goes_to_its_second_choice():
    found = decoded(spine(1, 2, 6, 4, 5))
    # The 6 between 2 and 4 is not the sixth: its second choice, 7, is no better.
    assert 6 not in found
    assert 7 not in found
    assert [label for label in (1, 2, 4, 5) if label in found] == [1, 2, 4, 5]


def test_a_second_choice_in_order_is_taken():
    labels = spine(1, 2, 3, 4, 5)
    probs = probs_of(labels)
    third = labels == 3
    probs[:, third] = 0
    probs[7][third], probs[3][third], probs[0][third] = 0.5, 0.4, 0.1
    np.testing.assert_array_equal(in_order(probs).argmax(axis=0), labels)


def test_the_order_with_the_most_voxels_wins():
    labels = spine(5, 6, 7, 1)
    assert set(np.unique(decoded(labels))) == {0, 5, 6, 7}


def test_a_stray_piece_far_from_its_vertebra_is_removed_and_a_near_one_stays():
    labels = spine(2, 3, 4, 5)
    stray = labels.copy()
    stray[17:19, 0:2, 0:4] = 2
    stray[2:4, 0:2, 0:6] = 2
    found = decoded(stray)
    assert not (found[17:19, 0:2, 0:4] == 2).any()
    assert (found[2:4, 0:2, 0:6] == 2).all()


def test_a_few_voxels_are_no_vertebra():
    labels = spine(3, 4)
    labels[0, 0, 0:5] = 1
    assert 1 not in decoded(labels)


def test_an_other_vertebra_above_the_neck_is_removed():
    found = decoded(spine(8, 1, 2, 3))
    assert set(np.unique(found)) == {0, 1, 2, 3}


def test_nothing_stays_nothing():
    assert not decoded(np.zeros((5, 8, 8), np.uint8)).any()


def test_the_probabilities_given_are_not_changed():
    probs = probs_of(spine(1, 2, 6, 4, 5))
    before = probs.copy()
    in_order(probs)
    np.testing.assert_array_equal(probs, before)

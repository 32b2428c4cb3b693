"""Slice ratio, position and thickness, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.preprocessing.metadata import slice_metadata


def test_five_even_slices_give_the_values_worked_out_by_hand():
    found = slice_metadata([40.0, 30.0, 20.0, 10.0, 0.0], 2.5)

    assert found.dtype == np.float32
    assert found == pytest.approx(
        np.array(
            [[0, 0.2, 0.5], [0.25, 0.1, 0.5], [0.5, 0, 0.5], [0.75, -0.1, 0.5], [1, -0.2, 0.5]]
        ),
        abs=1e-7,
    )


def test_uneven_slices_keep_their_true_position():
    found = slice_metadata([100.0, 90.0, 0.0], 1.0)

    assert found[:, 1] == pytest.approx([0.5, 0.4, -0.5])


def test_a_single_slice_lies_in_the_middle():
    assert slice_metadata([-731.5], 5.0).tolist() == [[0.5, 0.0, 1.0]]


def test_no_slice_gives_no_row():
    assert slice_metadata([], 1.0).shape == (0, 3)


@pytest.mark.parametrize("thickness", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_an_unknown_thickness_counts_as_zero(thickness):
    assert slice_metadata([1.0, 0.0], thickness)[:, 2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("z", [[[1.0, 2.0]], [1.0, float("nan")]])
def test_positions_that_are_not_one_number_a_slice_are_refused(z):
    with pytest.raises(ValueError, match="one finite number per slice"):
        slice_metadata(z, 1.0)


@given(
    st.lists(st.floats(-2000, 2000), min_size=1, max_size=40),
    st.floats(-500, 500),
    st.floats(0.1, 10),
)
def test_moving_the_table_changes_nothing(z, shift, thickness):
    here, there = slice_metadata(z, thickness), slice_metadata(np.add(z, shift), thickness)

    assert there == pytest.approx(here, abs=1e-5)
    assert here[0, 0] == (0.5 if len(z) == 1 else 0.0)
    assert abs(float(here[:, 1].max() + here[:, 1].min())) < 1e-5

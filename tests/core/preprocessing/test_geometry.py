import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.preprocessing.geometry import center_crop, resize_slices


def test_crop_keeps_the_central_square():
    slices = np.arange(36).reshape(1, 6, 6)
    np.testing.assert_array_equal(center_crop(slices, 0.5), slices[:, 1:4, 1:4])


def test_whole_crop_of_a_square_slice_is_the_slice():
    slices = np.arange(32).reshape(2, 4, 4)
    np.testing.assert_array_equal(center_crop(slices, 1.0), slices)


def test_oblong_slice_loses_its_ends_and_is_not_stretched():
    slices = np.arange(2 * 512 * 519, dtype=np.int32).reshape(2, 512, 519)
    cropped = center_crop(slices, 1.0)
    np.testing.assert_array_equal(cropped, slices[:, :, 3:515])


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 1))
def test_crop_is_square_and_within_one_pixel_of_the_center(height, width, fraction):
    rows, columns = np.mgrid[:height, :width]
    for axis, length in ((rows, height), (columns, width)):
        cropped = center_crop(axis[None], fraction)
        assert cropped.shape[1] == cropped.shape[2] >= 1
        assert abs(cropped.mean() - (length - 1) / 2) <= 0.5


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_refuses_a_fraction_outside_its_range(fraction):
    with pytest.raises(ValueError, match="fraction"):
        center_crop(np.zeros((1, 4, 4)), fraction)


def test_refuses_a_single_slice_without_its_axis():
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        center_crop(np.zeros((4, 4)), 1.0)


def test_shrinking_by_a_whole_factor_takes_block_means():
    rng = np.random.default_rng(0)
    slices = rng.integers(0, 256, (3, 12, 12), dtype=np.uint8)
    means = slices.reshape(3, 4, 3, 4, 3).mean(axis=(2, 4))
    assert np.abs(resize_slices(slices, 4) - means).max() <= 0.5


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_a_uniform_slice_stays_uniform_at_any_size(side, size, grey):
    resized = resize_slices(np.full((2, side, side), grey, np.uint8), size)
    assert resized.shape == (2, size, size)
    assert resized.dtype == np.uint8
    assert (resized == grey).all()


def test_same_size_changes_nothing():
    slices = np.random.default_rng(0).integers(0, 256, (2, 9, 9), dtype=np.uint8)
    np.testing.assert_array_equal(resize_slices(slices, 9), slices)


def test_no_slices_give_no_slices():
    assert resize_slices(np.zeros((0, 8, 8), np.uint8), 4).shape == (0, 4, 4)


def test_refuses_size_zero():
    with pytest.raises(ValueError, match="size is 0"):
        resize_slices(np.zeros((1, 8, 8), np.uint8), 0)

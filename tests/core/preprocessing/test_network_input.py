import numpy as np
import pytest

from core.config import SlicePreparation
from core.constants import NETWORK_WINDOWS
from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.network_input import (
    batch_for_network,
    slices_for_network,
    stack_neighbours,
)
from core.preprocessing.spine_field import SpineField
from core.types import HuWindow

WINDOW = HuWindow(400, 1800)


def test_is_crop_then_window_then_resize():
    hu = np.random.default_rng(0).integers(-1024, 2000, (5, 80, 80)).astype(np.int16)
    expected = resize_slices(window_to_uint8(center_crop(hu, 0.6), WINDOW), 32)
    made = slices_for_network(hu, SlicePreparation(crop=0.6, size=32))
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.uint8


def test_a_slice_does_not_depend_on_its_neighbours():
    hu = np.random.default_rng(1).integers(-1024, 2000, (4, 32, 32)).astype(np.int16)
    how = SlicePreparation(crop=0.9, size=40)
    together = slices_for_network(hu, how)
    alone = slices_for_network(hu[2:3], how)
    np.testing.assert_array_equal(together[2:3], alone)


def test_read_only_input_is_left_alone():
    hu = np.zeros((2, 8, 8), np.int16)
    hu.setflags(write=False)
    assert slices_for_network(hu, SlicePreparation(size=32)).shape == (2, 32, 32)


def test_three_windows_are_three_grey_images():
    hu = np.random.default_rng(2).integers(-1024, 2000, (3, 32, 32)).astype(np.int16)
    made = slices_for_network(hu, SlicePreparation(crop=0.9, size=40, channels="windows"))
    assert made.shape == (3, 3, 40, 40)
    for channel, (center, width) in enumerate(NETWORK_WINDOWS.values()):
        one = SlicePreparation(crop=0.9, size=40, window_center=center, window_width=width)
        alone = slices_for_network(hu, one)
        np.testing.assert_array_equal(made[:, channel], alone)


def test_neighbours_are_prepared_as_grey_and_stacked_later():
    hu = np.random.default_rng(3).integers(-1024, 2000, (3, 8, 8)).astype(np.int16)
    grey, beside = (SlicePreparation(size=32, channels=c) for c in ("grey", "neighbours"))
    made = slices_for_network(hu, grey)
    np.testing.assert_array_equal(slices_for_network(hu, beside), made)
    stacked = stack_neighbours(made)
    for first, last in ((0, 3), (0, 1), (1, 2), (1, 3)):
        batch = slice(first, last)
        np.testing.assert_array_equal(batch_for_network(hu, batch, grey), made[batch])
        np.testing.assert_array_equal(batch_for_network(hu, batch, beside), stacked[batch])


@pytest.mark.parametrize(("asked", "given"), [(None, 40.0), (40.0, None), (40.0, 50.0)])
def test_a_field_of_another_side_is_refused(asked, given):
    hu = np.zeros((1, 8, 8), np.int16)
    field = None if given is None else SpineField(np.zeros((1, 2)), (1.0, 1.0), given)
    with pytest.raises(ValueError, match="mm"):
        slices_for_network(hu, SlicePreparation(size=32, field_mm=asked), field)


def test_stack_holds_the_slice_above_the_slice_and_the_one_below():
    prepared = np.arange(4, dtype=np.uint8)[:, None, None] + np.zeros((4, 2, 2), np.uint8)
    stacked = stack_neighbours(prepared)
    assert stacked[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    some = stack_neighbours(prepared, np.array([3, 1]))
    np.testing.assert_array_equal(some, stacked[[3, 1]])


def test_single_slice_is_its_own_neighbour():
    prepared = np.full((1, 2, 2), 9, np.uint8)
    np.testing.assert_array_equal(stack_neighbours(prepared), np.full((1, 3, 2, 2), 9))

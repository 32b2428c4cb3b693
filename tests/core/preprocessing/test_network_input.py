import numpy as np

from core.constants import NETWORK_WINDOWS
from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.network_input import slices_for_network, stack_neighbours
from core.types import HuWindow

WINDOW = HuWindow(400, 1800)


def test_is_crop_then_window_then_resize():
    hu = np.random.default_rng(0).integers(-1024, 2000, (5, 40, 40)).astype(np.int16)
    expected = resize_slices(window_to_uint8(center_crop(hu, 0.6), WINDOW), 16)
    made = slices_for_network(hu, window=WINDOW, crop=0.6, size=16)
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.uint8


def test_a_slice_does_not_depend_on_its_neighbours():
    hu = np.random.default_rng(1).integers(-1024, 2000, (4, 32, 32)).astype(np.int16)
    together = slices_for_network(hu, window=WINDOW, crop=0.9, size=20)
    alone = slices_for_network(hu[2:3], window=WINDOW, crop=0.9, size=20)
    np.testing.assert_array_equal(together[2:3], alone)


def test_read_only_input_is_left_alone():
    hu = np.zeros((2, 8, 8), np.int16)
    hu.setflags(write=False)
    assert slices_for_network(hu, window=WINDOW, crop=1.0, size=4).shape == (2, 4, 4)


def test_three_windows_are_three_grey_images():
    hu = np.random.default_rng(2).integers(-1024, 2000, (3, 32, 32)).astype(np.int16)
    made = slices_for_network(hu, window=WINDOW, crop=0.9, size=20, channels="windows")
    assert made.shape == (3, 3, 20, 20)
    for channel, (center, width) in enumerate(NETWORK_WINDOWS.values()):
        alone = slices_for_network(hu, window=HuWindow(center, width), crop=0.9, size=20)
        np.testing.assert_array_equal(made[:, channel], alone)


def test_neighbours_are_prepared_as_grey_and_stacked_later():
    hu = np.random.default_rng(3).integers(-1024, 2000, (3, 8, 8)).astype(np.int16)
    options = {"window": WINDOW, "crop": 1.0, "size": 8}
    np.testing.assert_array_equal(
        slices_for_network(hu, **options, channels="neighbours"), slices_for_network(hu, **options)
    )


def test_stack_holds_the_slice_above_the_slice_and_the_one_below():
    prepared = np.arange(4, dtype=np.uint8)[:, None, None] + np.zeros((4, 2, 2), np.uint8)
    stacked = stack_neighbours(prepared)
    assert stacked[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    some = stack_neighbours(prepared, np.array([3, 1]))
    np.testing.assert_array_equal(some, stacked[[3, 1]])


def test_single_slice_is_its_own_neighbour():
    prepared = np.full((1, 2, 2), 9, np.uint8)
    np.testing.assert_array_equal(stack_neighbours(prepared), np.full((1, 3, 2, 2), 9))

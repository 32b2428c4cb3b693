import numpy as np

from core.preprocessing.geometry import center_crop, resize_slices
from core.preprocessing.intensity import window_to_uint8
from core.preprocessing.network_input import slices_for_network
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

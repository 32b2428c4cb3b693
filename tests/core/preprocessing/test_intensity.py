import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.preprocessing.intensity import window_to_uint8
from core.types import HuWindow

windows = st.builds(HuWindow, st.floats(-2000, 4000), st.floats(1, 8000, allow_subnormal=False))


@given(hnp.arrays(np.int16, (2, 3, 4)), windows)
def test_agrees_with_the_formula_in_float64(hu, window):
    share = (hu.astype(np.float64) - window.lower) / window.width
    expected = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
    np.testing.assert_array_equal(window_to_uint8(hu, window), expected)


def test_window_ends_become_black_and_white_and_beyond_them_is_clipped():
    hu = np.array([-32768, -501, -500, 400, 1300, 1301, 32767], np.int16)
    grey = window_to_uint8(hu, HuWindow(400, 1800))
    np.testing.assert_array_equal(grey, [0, 0, 0, 128, 255, 255, 255])


@given(windows)
def test_never_decreases_with_hu(window):
    every_value = np.arange(-32768, 32768).astype(np.int16)
    grey = window_to_uint8(every_value, window).astype(int)
    assert (np.diff(grey) >= 0).all()


def test_a_view_with_gaps_gives_the_same_as_its_copy():
    hu = np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 30
    window = HuWindow(400, 1800)
    np.testing.assert_array_equal(
        window_to_uint8(hu[:, ::2, 1:4], window), window_to_uint8(hu[:, ::2, 1:4].copy(), window)
    )


def test_refuses_other_types_than_int16():
    with pytest.raises(ValueError, match="float32"):
        window_to_uint8(np.zeros((1, 2, 2), np.float32), HuWindow(0, 1))

from __future__ import annotations

import numpy as np
import pytest

from core.types import CTVolume, HuWindow
from dashboard.studies.slice_image import display_image, edge_letters

SIDE = 768


def volume(hu, spacing=(3.0, 1.0, 1.0), x=(1.0, 0.0, 0.0), y=(0.0, 1.0, 0.0)) -> CTVolume:
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = (0, 0, -spacing[0]), y, x
    hu = np.asarray(hu, np.int16)
    n = len(hu)
    return CTVolume(hu, spacing, affine, -3.0 * np.arange(n), (0,) * n, (), "1.2", "1.3")


def test_pixels_become_square_whatever_their_spacing():
    image = display_image(
        volume(np.zeros((1, 40, 40)), (3, 0.5, 1.0)), 0, HuWindow(40, 400), longer_side=SIDE
    )
    assert image.shape == (SIDE // 2, SIDE)
    tall = display_image(volume(np.zeros((1, 60, 20))), 0, HuWindow(40, 400), longer_side=SIDE)
    assert tall.shape == (SIDE, SIDE // 3)


def test_the_window_sets_black_and_white():
    hu = np.full((3, 8, 8), -1000)
    hu[1], hu[2] = 40, 3000
    images = [display_image(volume(hu), i, HuWindow(40, 400), longer_side=SIDE) for i in range(3)]
    assert [int(image.mean()) for image in images] == [0, 128, 255]
    assert images[0].dtype == np.uint8


def test_a_slice_larger_than_the_screen_is_shrunk():
    assert display_image(
        volume(np.zeros((1, 1000, 1000))), 0, HuWindow(0, 10), longer_side=SIDE
    ).shape == (SIDE, SIDE)


@pytest.mark.parametrize(
    ("x", "y", "letters"),
    [
        ((1, 0, 0), (0, 1, 0), ("R", "L", "A", "P")),
        ((-1, 0, 0), (0, -1, 0), ("L", "R", "P", "A")),
        ((1, 0, 0), (0, 0.4, -0.9), ("R", "L", "H", "F")),
    ],
)
def test_the_edges_are_named_after_the_patient(x, y, letters):
    assert edge_letters(volume(np.zeros((1, 4, 4)), x=x, y=y)) == letters

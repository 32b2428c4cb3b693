"""Voxels of the grid and voxels of the series lie at the same places."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import SlicePreparation
from core.preprocessing.spine_field import SpineField
from core.preprocessing.spine_grid import OTHER_VERTEBRA, SpineGrid, spine_grid_of
from core.types import CTVolume

HOW = SlicePreparation(size=40, field_mm=80.0, window_center=650, window_width=1200)


def grid_at(z_mm, centers, *, pixel_mm=1.0, shape=(90, 100)):
    z = np.asarray(z_mm, np.float64)
    field = SpineField(np.broadcast_to(centers, (len(z), 2)).copy(), (pixel_mm, pixel_mm), 80.0)
    return SpineGrid(field, z, 40, shape)


def balls(z_mm, pixel_mm, shape):
    """C3 and T2 as balls 24 mm wide, at known places; uint8 (z, y, x)."""
    y, x = (np.arange(n) * pixel_mm for n in shape)
    mask = np.zeros((len(z_mm), *shape), np.uint8)
    for label, middle in ((3, (-14.0, 40.0, 55.0)), (9, (-44.0, 52.0, 40.0))):
        away = (
            (np.asarray(z_mm)[:, None, None] - middle[0]) ** 2
            + (y[:, None] - middle[1]) ** 2
            + (x - middle[2]) ** 2
        )
        mask[away <= 144] = label
    return mask


@pytest.mark.parametrize("step", [0.7, 2.0, 3.1])
@pytest.mark.parametrize("pixel_mm", [0.6, 1.0])
def test_labels_return_to_their_places(step, pixel_mm):
    z_mm = -np.arange(0, 60, step)
    shape = (round(90 / pixel_mm), round(100 / pixel_mm))
    mask = balls(z_mm, pixel_mm, shape)
    grid = grid_at(z_mm, (46 / pixel_mm, 48 / pixel_mm), pixel_mm=pixel_mm, shape=shape)
    labels = grid.labels_from_slices(mask)
    assert set(np.unique(labels)) == {0, 3, OTHER_VERTEBRA}
    back = grid.volume_labels(np.eye(9, dtype=np.float32)[labels].transpose(3, 0, 1, 2))
    for label, stored in ((3, 3), (9, OTHER_VERTEBRA)):
        truth, found = mask == label, back == stored
        dice = 2 * np.sum(truth & found) / (truth.sum() + found.sum())
        assert dice > 0.93
        middles = np.array([np.argwhere(one).mean(axis=0) for one in (truth, found)])
        away = (middles[0] - middles[1]) * [step, pixel_mm, pixel_mm]
        assert np.abs(away).max() < 0.6


def test_a_plane_lies_every_two_millimetres_from_the_first_slice_down():
    grid = grid_at([10.0, 7.0, 4.0, 1.0, -2.0], (45, 50))
    assert grid.step_mm == 2.0
    np.testing.assert_allclose(grid.planes_mm, [10, 8, 6, 4, 2, 0, -2])
    squares = np.arange(5, dtype=np.uint8)[:, None, None] * np.full((40, 40), 30, np.uint8)
    # Linear between slices 3 mm apart: 30 grey levels a slice.
    np.testing.assert_allclose(
        grid.from_slices(squares)[:, 0, 0], [0, 20, 40, 60, 80, 100, 120], atol=1
    )


def test_values_of_planes_are_interpolated_at_uneven_slices():
    grid = grid_at([0.0, -1.0, -2.5, -8.0], (45, 50))
    planes = np.array([[0.0], [10.0], [20.0], [30.0], [40.0]])
    np.testing.assert_allclose(grid.on_slices(planes)[:, 0], [0, 5, 12.5, 40], atol=1e-5)


def test_one_slice_is_one_plane():
    grid = grid_at([5.0], (45, 50))
    assert grid.from_slices(np.full((1, 40, 40), 9, np.uint8)).tolist() == [[[9] * 40] * 40]


def test_a_square_that_leaves_the_slice_is_cut_at_its_edge():
    grid = grid_at([0.0, -2.0], (4, 97))
    probs = np.zeros((9, 2, 40, 40), np.float32)
    probs[5] = 1.0
    labels = grid.slice_labels(probs, 1)
    left, _, _, bottom = grid.field.box_xyxy(1)
    assert (labels[:bottom, left:] == 5).all()
    assert np.count_nonzero(labels) == bottom * (100 - left)


def test_air_and_soft_tissue_look_alike():
    hu = np.full((30, 64, 64), 40, np.int16)
    hu[:, 28:36, 28:36] = 900
    hu[:, 5:20, 10:30] = -1000
    volume = CTVolume(
        hu, (2.0, 1.5, 1.5), np.eye(4), -2.0 * np.arange(30), (), (), "1", "1",
    )  # fmt: skip
    _, image = spine_grid_of(volume, HOW)
    assert image.shape == (30, 40, 40)
    assert set(np.unique(image[:, :8])) == {0}
    assert image.max() > 150


def test_a_grid_needs_a_field():
    volume = CTVolume(
        np.zeros((2, 64, 64), np.int16), (2.0, 1, 1), np.eye(4), np.array([2.0, 0]), (), (), "", "",
    )  # fmt: skip
    with pytest.raises(ValueError, match="field_mm"):
        spine_grid_of(volume, SlicePreparation(size=40))

"""Voxels lie where the grid says, upright, uneven or leaning."""

from dataclasses import replace

import numpy as np
import pytest

from core.phantom.grid import Grid
from core.phantom.painting import PaintedVolume, box_around
from core.phantom.tilting import lean, upright

GRID = Grid(9, 32, 0.5, 2.0, (-8.0, -7.0, 40.0))


def test_the_affine_agrees_with_the_axes():
    z, y, x = 3, 5, 7
    found = GRID.affine() @ [z, y, x, 1]
    assert found[:3] == pytest.approx([GRID.x()[x], GRID.y()[y], GRID.z()[z]])


def test_uneven_heights_are_kept():
    heights = (40.0, 38.5, 36.0)
    assert tuple(replace(GRID, n_slices=3, heights_mm=heights).z()) == heights


def test_the_thickness_is_the_slice_distance_by_default():
    assert GRID.thickness_mm == 2.0
    assert replace(GRID, profile_mm=3.0).thickness_mm == 3.0


def test_boxes_around_points_are_none_outside_and_clipped_at_the_edge():
    assert box_around(GRID, np.array([500.0, 0, 30]), (2, 2, 2)) is None
    box = box_around(GRID, np.array([-8.0, -7.0, 40.0]), (1.0, 1.0, 2.5))
    assert box == (slice(0, 2), slice(0, 4), slice(0, 4))


@pytest.mark.parametrize("degrees", [10.0, -7.5])
def test_leaning_slices_show_what_lies_at_their_own_points(degrees):
    grid = replace(GRID, tilt_deg=degrees)
    source = upright(grid)
    x, y, z = source.x()[None, None], source.y()[None, :, None], source.z()[:, None, None]
    # Bilinear interpolation is exact for a linear field.
    hu = (3 * x + 5 * y - 4 * z).astype(np.float32)
    mask = np.broadcast_to(z > 32, hu.shape).astype(np.uint8)
    leaned = lean(PaintedVolume(source, hu, mask, mask), grid)
    assert leaned.hu.shape == (9, 32, 32)
    for index in [(0, 4, 5), (8, 27, 31), (4, 16, 0)]:
        px, py, pz, _ = grid.affine() @ [*index, 1]
        assert leaned.hu[index] == pytest.approx(3 * px + 5 * py - 4 * pz, abs=0.01)
        if abs(pz - 32) > 1.1:
            assert leaned.mask[index] == (pz > 32)


def test_upright_slices_are_left_alone():
    assert upright(GRID) is GRID

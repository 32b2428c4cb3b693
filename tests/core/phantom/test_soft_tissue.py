"""The neck around the spine: tissues where they belong, at their HU."""

from dataclasses import replace

import numpy as np
import pytest

from core.phantom.anatomy import Dentition, sample_anatomy
from core.phantom.brush import Brush, plain
from core.phantom.grid import Grid
from core.phantom.neck_frame import neck_frame
from core.phantom.soft_tissue import paint_soft_tissue, skin_radii


def grid_around(anatomy, n=72, slice_mm=2.5, matrix=128):
    top = float(anatomy.poses["C1"].origin[2]) + 30
    return Grid(n, matrix, 210 / matrix, slice_mm, (-105.0, -115.0, top))


@pytest.fixture(scope="module")
def person():
    return replace(
        sample_anatomy(np.random.default_rng(4)), contrast_hu=230.0,
        dentition=Dentition((1,) * 16, (1,) * 16),
    )  # fmt: skip


@pytest.fixture(scope="module")
def neck(person):
    grid = grid_around(person)
    hu = paint_soft_tissue(grid, person, [], np.random.default_rng(0))
    return hu, grid, neck_frame(grid, person, 0.0)


def look(hu, grid, x, y, k):
    i = round((float(y) - grid.corner[1]) / grid.pixel_mm)
    j = round((float(x) - grid.corner[0]) / grid.pixel_mm)
    return float(hu[k, i, j])


def slice_of(grid, z):
    return int(np.argmin(np.abs(grid.z() - z)))


def test_it_repeats_and_starts_as_float32_air(person, neck):
    hu, grid, _ = neck
    again = paint_soft_tissue(grid, person, [], np.random.default_rng(0))
    assert hu.tobytes() == again.tobytes()
    assert hu.dtype == np.float32
    assert hu[:, 0, 0].min() == pytest.approx(-1000, abs=1)


def test_the_cord_lies_in_fluid_in_the_canal(neck, person):
    hu, grid, course = neck
    for name in ("C3", "C5", "C7"):
        k = slice_of(grid, person.poses[name].origin[2])
        x, y = course.canal[0][k], course.canal[1][k] - 0.5
        assert look(hu, grid, x, y, k) == pytest.approx(40, abs=3)
        row = hu[k, round((y - grid.corner[1]) / grid.pixel_mm)]
        j = round((x - grid.corner[0]) / grid.pixel_mm)
        assert row[j : j + 9].min() < 25


def test_contrast_fills_the_vertebral_arteries(neck, person):
    hu, grid, course = neck
    for name in ("C4", "C5"):
        k = slice_of(grid, person.poses[name].origin[2])
        for x, y in course.arteries:
            assert look(hu, grid, x[k], y[k], k) > 120


def test_there_is_one_airway_from_pharynx_to_windpipe(neck, person):
    hu, grid, course = neck
    for name in ("C2", "C4", "C7"):
        k = slice_of(grid, person.poses[name].origin[2])
        j = round((course.spine[0][k] - grid.corner[0]) / grid.pixel_mm)
        i = round((course.spine[1][k] - grid.corner[1]) / grid.pixel_mm)
        lane = hu[k, max(i - 40, 0) : i, j - 3 : j + 4]
        assert lane.min() < -900


def test_a_swelling_pushes_the_airway_forward(person):
    grid = grid_around(person)
    z = float(person.poses["C4"].origin[2])
    k = slice_of(grid, z)

    def back_of_airway(swellings):
        hu = paint_soft_tissue(grid, person, swellings, np.random.default_rng(0))
        rows = np.flatnonzero((hu[k, 20:66, 54:74] < -800).any(axis=1))
        return rows.max() * grid.pixel_mm

    assert back_of_airway([]) - back_of_airway([(z, 8.0)]) > 4


def test_only_fillings_exceed_three_thousand_hu(neck, person):
    hu, grid, _ = neck
    assert hu.max() < 3000
    filled = replace(person, dentition=Dentition((2,) * 16, (1,) * 16))
    metal = paint_soft_tissue(grid, filled, [], np.random.default_rng(0))
    assert np.count_nonzero(metal > 3000) > 4
    bare = replace(person, dentition=Dentition((0,) * 16, (0,) * 16))
    assert paint_soft_tissue(grid, bare, [], np.random.default_rng(0)).max() < 1700


def test_the_shoulders_fill_the_lowest_slices_and_have_the_given_height(neck, person):
    hu, grid, course = neck
    inside = (hu > -500).mean(axis=(1, 2))
    k = slice_of(grid, person.poses["C4"].origin[2])
    assert inside[-5:].mean() > 1.3 * inside[k]
    widths = [
        skin_radii(course.z, course, replace(person, shoulder_mm=mm))[0] for mm in (0.0, 40.0)
    ]
    assert np.all(widths[0] >= widths[1])
    assert widths[0].max() > widths[1][slice_of(grid, course.level["C7"])] + 60


def test_ribs_flank_t1_and_the_occiput_lies_above_c1(neck, person):
    hu, grid, _ = neck
    c1, t1 = person.poses["C1"].origin, person.poses["T1"].origin
    above = hu[slice_of(grid, c1[2] + 16)]
    assert np.count_nonzero(above > 500) > 150
    ribs = hu[slice_of(grid, t1[2] - 4)]
    x = grid.x() - t1[0]
    for side in (-1, 1):
        lane = ribs[:, (side * x > 25) & (side * x < 75)]
        assert np.count_nonzero(lane > 300) > 5


@pytest.mark.parametrize("z", [-400.0, 300.0, 0.0])
def test_a_single_slice_anywhere_can_be_painted(person, z):
    grid = Grid(1, 48, 4.0, 3.0, (-96.0, -110.0, z))
    hu = paint_soft_tissue(grid, person, [], np.random.default_rng(0))
    assert hu.shape == (1, 48, 48)
    assert np.isfinite(hu).all()


def test_a_tube_covers_the_area_of_its_ellipse_and_clips_at_the_edge():
    grid = Grid(4, 100, 0.5, 2.0, (-25.0, -25.0, 0.0))
    hu = np.zeros((4, 100, 100), dtype=np.float32)
    z = np.zeros(4)
    Brush(hu, grid).tube(z, z, 9.0, 6.0, 100.0, turn=0.6)
    assert hu[2].sum() / 100 * 0.25 == pytest.approx(np.pi * 54, rel=0.02)
    Brush(hu, grid).tube(z + 500, z, 9.0, 6.0, 100.0)
    Brush(hu, grid).tube(z + 25, z, 9.0, 6.0, 100.0)
    assert hu[0, 50, -1] == 100


def test_a_rod_follows_its_knots_and_misses_gracefully():
    grid = Grid(20, 60, 1.0, 1.0, (-30.0, -30.0, 10.0))
    hu = np.zeros((20, 60, 60), dtype=np.float32)
    brush = Brush(hu, grid)
    brush.rod([(-20, 0, 0), (0, 0, 0), (0, 20, 0)], (3.0, 3.0, 3.0), plain(50.0))
    assert hu[10, 30, 20] == hu[10, 40, 30] == 50
    assert hu[10, 40, 15] == 0
    before = hu.copy()
    brush.rod([(0, 0, 900), (0, 0, 950)], (3.0, 3.0), plain(50.0))
    np.testing.assert_array_equal(hu, before)

"""The scanner's errors stand where physics puts them."""

from dataclasses import replace

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.artefacts import (
    add_earrings,
    add_motion,
    beam_errors,
    metal_streaks,
)
from core.phantom.grid import Grid
from core.phantom.kernels import Kernel
from core.phantom.scanner import Scanner, acquire, sample_scanner

N, SIZE = 60, 96


@pytest.fixture(scope="module")
def anatomy():
    return replace(sample_anatomy(np.random.default_rng(0)), girth=1.0, shoulder_mm=5.0)


@pytest.fixture(scope="module")
def grid(anatomy):
    """From above C2 down to below T3."""
    top = float(anatomy.poses["C2"].origin[2]) + 10
    bottom = float(anatomy.poses["T3"].origin[2]) - 10
    step = (top - bottom) / (N - 1)
    return Grid(N, SIZE, 2.0, step, (-SIZE, -SIZE, top))


def neck(grid):
    """Water cylinders of 60 mm radius in air."""
    inside = grid.x()[None, None] ** 2 + grid.y()[None, :, None] ** 2 < 60**2
    plane = np.where(inside, 40, -1000).astype(np.float32)
    return np.repeat(plane, grid.n_slices, axis=0)


@pytest.fixture(scope="module")
def beam(anatomy, grid):
    return beam_errors(neck(grid), grid, anatomy)


def test_it_is_darker_between_the_shoulders_than_in_the_neck(beam):
    middle = beam.shift_hu[:, SIZE // 2 - 4 : SIZE // 2 + 4, SIZE // 2 - 4 : SIZE // 2 + 4]
    along = middle.mean(axis=(1, 2))
    assert along[-15:].min() < along[:15].min() - 8
    assert abs(along[:15]).max() < 10


def test_noise_grows_towards_the_shoulders_and_is_1_in_the_neck(beam):
    middle = beam.noise[:, SIZE // 2, SIZE // 2]
    assert middle[:15] == pytest.approx(1, abs=0.25)
    assert middle[-10:].mean() > 1.4
    assert beam.noise.max() <= 4


def test_drawn_up_shoulders_reach_higher(anatomy, grid, beam):
    high = beam_errors(neck(grid), grid, replace(anatomy, shoulder_mm=-15.0))
    changed = high.noise[:, SIZE // 2, SIZE // 2] - beam.noise[:, SIZE // 2, SIZE // 2]
    assert changed[10:45].max() > 0.1


@pytest.mark.parametrize("noise_hu", [16.0, 38.0])
def test_noise_measured_in_soft_tissue_of_the_neck_is_the_kernels(anatomy, grid, noise_hu):
    scanner = Scanner(Kernel("k", 0.5, 0.3, noise_hu))
    image = acquire(neck(grid), grid, anatomy, scanner, np.random.default_rng(1))
    inside = image[:15, SIZE // 2 - 12 : SIZE // 2 + 12, SIZE // 2 - 12 : SIZE // 2 + 12]
    assert inside.std(axis=(1, 2)).mean() == pytest.approx(noise_hu, rel=0.2)


def test_drawn_scanners_give_15_to_40_hu_in_soft_tissue(anatomy, grid):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scanner = replace(sample_scanner(rng), motion=False, earrings=False)
        image = acquire(neck(grid), grid, anatomy, scanner, rng)
        inside = image[2:15, SIZE // 2 - 12 : SIZE // 2 + 12, SIZE // 2 - 12 : SIZE // 2 + 12]
        assert 13 < inside.std(axis=(1, 2)).mean() < 42


def test_images_stay_in_twelve_bits_and_repeat_by_seed(anatomy, grid):
    scanner = Scanner(Kernel("k", 0.5, 0.0, 30.0), earrings=True, motion=True)
    body = neck(grid)
    body[8, 40:50, 40:50] = 9000
    first, again = (
        acquire(body.copy(), grid, anatomy, scanner, np.random.default_rng(3)) for _ in range(2)
    )
    assert first.dtype == np.int16
    assert (first.min(), first.max()) == (-1024, 3071)
    assert (first == again).all()


def test_without_metal_there_are_no_streaks(grid):
    assert metal_streaks(neck(grid), grid, np.random.default_rng(0)) == {}


def test_metal_streaks_its_own_slices_and_darkens_the_line_between_two_pieces(grid):
    hu = neck(grid)
    for column in (30, 66):
        hu[20, 47:49, column : column + 2] = 9000
    streaks = metal_streaks(hu, grid, np.random.default_rng(0))
    assert list(streaks) == [20]
    between, beside = streaks[20][47:49, 40:58], streaks[20][20:36, 40:58]
    assert between.mean() < beside.mean() - 60
    assert streaks[20].std() > 20


def test_earrings_are_metal_on_both_sides_of_the_head(grid):
    hu = neck(grid)
    add_earrings(hu, grid)
    columns = np.flatnonzero((hu > 2500).any(axis=(0, 1)))
    assert columns.min() < SIZE * 0.3
    assert columns.max() > SIZE * 0.7


def test_earrings_on_nobody_change_nothing(grid):
    hu = np.full((3, SIZE, SIZE), -1000, dtype=np.float32)
    add_earrings(hu, replace(grid, n_slices=3))
    assert (hu == -1000).all()


def test_motion_doubles_the_edges_of_a_few_neighbouring_slices(grid):
    still = neck(grid)
    moved = still.copy()
    add_motion(moved, grid, np.random.default_rng(4))
    changed = np.flatnonzero((moved != still).any(axis=(1, 2)))
    assert 2 <= len(changed) <= 4
    assert np.ptp(changed) == len(changed) - 1
    # Half-way values appear where the two pictures do not overlap.
    assert ((moved[changed[0]] > -900) & (moved[changed[0]] < 0)).any()

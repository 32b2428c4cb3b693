"""Varied scans begin and end anywhere, at any resolution within their ranges."""

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.protocol import free_grid
from core.phantom.recipe import VARIED


@pytest.fixture(scope="module")
def scans():
    rng = np.random.default_rng(0)
    anatomy = sample_anatomy(rng)
    return anatomy, [free_grid(anatomy, rng, 256, VARIED.protocol) for _ in range(300)]


def test_spacing_rows_and_thickness_stay_in_their_ranges_and_fill_them(scans):
    grids = scans[1]
    pixels = np.array([g.pixel_mm for g in grids])
    steps = np.array([g.slice_mm for g in grids])
    assert pixels.min() >= 0.3
    assert pixels.max() <= 1.0
    assert pixels.min() < 0.4
    assert pixels.max() > 0.9
    assert steps.min() >= 0.5
    assert steps.max() <= 3.0
    assert steps.min() < 0.55
    assert steps.max() > 2.7
    assert {g.matrix for g in grids} == {256, 384, 512, 768}
    assert all(0.8 <= g.thickness_mm / g.slice_mm <= 2 for g in grids)


def test_no_scan_has_more_voxels_than_the_budget(scans):
    most = VARIED.protocol.megavoxels * 1e6
    assert all(g.n_slices * g.matrix**2 <= most for g in scans[1])
    assert all(g.n_slices >= 12 for g in scans[1])


def test_scans_begin_and_end_at_every_vertebra(scans):
    anatomy, grids = scans
    heights = {n: float(p.origin[2]) for n, p in anatomy.poses.items()}
    starts = [g.corner[2] for g in grids]
    ends = [float(g.z()[-1]) for g in grids]
    for edges in (starts, ends):
        below = np.mean(np.array(edges) < heights["C4"])
        assert 0.15 < below < 0.9
    assert all(s > heights["T2"] for s in starts)


def test_a_scan_shows_one_of_the_levels_that_it_is_to_show(scans):
    rng = np.random.default_rng(1)
    for _ in range(60):
        grid = free_grid(scans[0], rng, 256, VARIED.protocol, ("C6",))
        z = float(scans[0].poses["C6"].origin[2])
        assert grid.z()[-1] <= z <= grid.z()[0]


def test_a_small_cohort_has_the_same_fields_with_larger_pixels(scans):
    rng = np.random.default_rng(2)
    grids = [free_grid(scans[0], rng, 64, VARIED.protocol) for _ in range(50)]
    assert all(75 < g.matrix * g.pixel_mm < 780 for g in grids)
    assert max(g.n_slices * g.matrix**2 for g in grids) <= VARIED.protocol.megavoxels * 1e6 / 16

"""Surroundings of a varied study tell nothing of a vertebra's level."""

from dataclasses import replace

import numpy as np
import pytest

from core.constants import VERTEBRAE
from core.phantom.anatomy import sample_anatomy
from core.phantom.grid import Grid
from core.phantom.neck_frame import neck_frame
from core.phantom.neck_tissue import MUSCLES
from core.phantom.recipe import VARIED
from core.phantom.scene import PLAIN, Move, sample_scene
from core.phantom.soft_tissue import paint_soft_tissue

PEOPLE = 28


def coarse_grid(anatomy):
    x, y, z = (float(v) for v in anatomy.poses["C4"].origin)
    return Grid(20, 56, 2.5, 7.0, (x - 70, y - 90, z + 66))


def airway_areas(*, varied):
    """(person, vertebra, area of air in front of that vertebra in mm2) as rows."""
    rows = []
    for seed in range(PEOPLE):
        rng = np.random.default_rng(seed)
        anatomy = sample_anatomy(rng)
        scene = sample_scene(rng, VARIED.surroundings if varied else None, tuple(MUSCLES))
        scene = replace(scene, gas=False)
        grid = coarse_grid(anatomy)
        hu = paint_soft_tissue(grid, anatomy, [], rng, scene)
        for level, name in enumerate(VERTEBRAE[1:]):
            x, y, z = anatomy.poses[name].origin
            k = int(np.argmin(np.abs(grid.z() - z)))
            near = np.abs(grid.x() - x) < 26
            front = (grid.y() < y) & (grid.y() > y - 52)
            rows.append((seed, level, (hu[k][np.ix_(front, near)] < -500).sum() * 6.25))
    return np.array(rows)


def spread_by_level(rows):
    """Share of the variance of the air's area that the vertebra explains."""
    means = [rows[rows[:, 1] == level, 2].mean() for level in np.unique(rows[:, 1])]
    return np.var(means) / np.var(rows[:, 2])


@pytest.mark.slow
def test_the_airway_shows_the_level_in_classic_studies_and_not_in_varied_ones():
    classic, varied = airway_areas(varied=False), airway_areas(varied=True)
    assert spread_by_level(classic) > 0.12
    assert spread_by_level(varied) < 0.08
    assert abs(np.corrcoef(varied[:, 1], varied[:, 2])[0, 1]) < 0.2


def test_every_state_of_the_airway_occurs_with_its_share():
    rng = np.random.default_rng(3)
    scenes = [sample_scene(rng, VARIED.surroundings, tuple(MUSCLES)) for _ in range(400)]
    for state, share in VARIED.surroundings.airway.shares:
        found = sum(scene.airway.state == state for scene in scenes) / len(scenes)
        assert found == pytest.approx(share, abs=0.07)
    collapsed = next(s.airway for s in scenes if s.airway.state == "collapsed")
    assert not collapsed.width.values.any()
    filled = next(s.airway for s in scenes if s.airway.state == "filled")
    assert filled.content_hu > -50
    assert {s.support for s in scenes} == {n for n, _ in VARIED.surroundings.support.shares}


def test_a_moved_frame_moves_levels_about_c4_and_leaves_the_spine():
    anatomy = sample_anatomy(np.random.default_rng(1))
    neck = neck_frame(coarse_grid(anatomy), anatomy, 0.0)
    assert neck.moved(Move()) is neck
    moved = neck.moved(Move(10.0, 2.0))
    c4 = neck.level["C4"]
    assert moved.level["C4"] == pytest.approx(c4 + 10)
    assert moved.level["C2"] - moved.level["C4"] == pytest.approx(2 * (neck.level["C2"] - c4))
    assert moved.spine is neck.spine


def test_classic_surroundings_take_nothing_from_the_generator():
    rng, twin = np.random.default_rng(4), np.random.default_rng(4)
    assert sample_scene(rng, None, tuple(MUSCLES)) is PLAIN
    assert rng.uniform() == twin.uniform()


def test_a_tube_with_its_cuff_lies_in_the_airway():
    rng = np.random.default_rng(8)
    anatomy = sample_anatomy(rng)
    scene = sample_scene(rng, VARIED.surroundings, tuple(MUSCLES))
    airway = replace(scene.airway, tube_mm=5.0, cuff_mm=0.0, content_hu=30.0)
    x, y, z = (float(v) for v in anatomy.poses["C4"].origin)
    grid = Grid(24, 150, 0.8, 3.0, (x - 60, y - 80, z + 36))
    quiet = replace(scene, airway=airway, gas=False, nodes=0, lines=False, collar=False)
    with_tube = paint_soft_tissue(grid, anatomy, [], np.random.default_rng(0), quiet)
    without = replace(quiet, airway=replace(airway, tube_mm=0.0))
    plain = paint_soft_tissue(grid, anatomy, [], np.random.default_rng(0), without)
    air = ((with_tube < -350) & (plain > -350)).sum(axis=(1, 2)) * 0.64
    at_cuff = np.argmin(np.abs(grid.z()))
    assert np.median(air) == pytest.approx(np.pi * 3.7**2, rel=0.25)
    assert air[at_cuff] > 2 * np.median(air)

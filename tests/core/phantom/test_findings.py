"""Findings next to the vertebrae, metal, and what lies on the skin, each where it belongs."""

from dataclasses import replace

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.findings import paint_findings
from core.phantom.grid import Grid
from core.phantom.implants import HU_IMPLANT, paint_implant
from core.phantom.recipe import VARIED
from core.phantom.supports import paint_collar, paint_lines, paint_support

NONE = replace(VARIED.bone, ossified=0.0, pannus=0.0, ossicles=0.0, ribs=0.0)


@pytest.fixture(scope="module")
def person():
    return replace(sample_anatomy(np.random.default_rng(6)), age_years=70.0)


@pytest.fixture
def field(person):
    x, y, z = (float(v) for v in person.poses["C4"].origin)
    grid = Grid(45, 90, 1.6, 3.0, (x - 72, y - 72, z + 66))
    return np.zeros((45, 90, 90), dtype=np.float32), grid


@pytest.mark.parametrize("finding", ["ossified", "pannus", "ossicles", "ribs"])
def test_each_finding_is_painted_alone_where_it_is_certain(person, field, finding):
    hu, grid = field
    paint_findings(hu, grid, person, replace(NONE, **{finding: 1.0}), np.random.default_rng(1))
    changed = hu != 0
    assert 3 < np.count_nonzero(changed) < 0.02 * hu.size
    assert hu.min() >= 0


def test_nothing_is_painted_where_nothing_is_found(person, field):
    hu, grid = field
    paint_findings(hu, grid, person, NONE, np.random.default_rng(1))
    assert not hu.any()


@pytest.mark.parametrize("seed", range(4))
def test_metal_joins_two_of_the_vertebrae_that_may_hold_it(person, field, seed):
    hu, grid = field
    paint_implant(hu, grid, person, ("C1", "C5", "C6"), np.random.default_rng(seed))
    z = grid.z()[np.nonzero(hu > 0.5 * HU_IMPLANT)[0]]
    levels = [float(person.poses[n].origin[2]) for n in ("C5", "C6")]
    assert z.max() < levels[0] + 16
    assert z.min() > levels[1] - 16


def test_without_two_neighbours_there_is_no_metal(person, field):
    hu, grid = field
    paint_implant(hu, grid, person, ("C1", "C2", "C4", "C6"), np.random.default_rng(0))
    assert not hu.any()


@pytest.mark.parametrize("kind", ["board", "table", "pillow"])
def test_supports_and_collars_fill_air_only(field, kind):
    _, grid = field
    x, y = np.meshgrid(grid.x() - grid.x().mean(), grid.y() - grid.y().mean())
    skin = np.repeat((np.hypot(x, y) - 40)[None].astype(np.float32), grid.n_slices, 0)
    body = np.where(skin < 0, np.float32(50), np.float32(-1000))
    rng = np.random.default_rng(3)
    hu = body.copy()
    paint_support(hu, grid, kind, rng)
    assert (hu != body).any()
    paint_collar(hu, skin, grid, rng)
    paint_lines(hu, skin, grid, rng)
    assert (hu[skin < 0] == 50).all()
    assert hu.min() >= -1000


def test_no_support_takes_nothing_from_the_generator(field):
    hu, grid = field
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    paint_support(hu, grid, "none", rng)
    assert rng.uniform() == twin.uniform()

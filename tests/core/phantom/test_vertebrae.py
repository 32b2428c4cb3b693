"""The bones have the holes, joints, forks and gaps that anatomy asks for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from core.phantom.anatomy import sample_anatomy
from core.phantom.bone import bone_hu
from core.phantom.canvas import FAR_MM, Canvas
from core.phantom.sdf import capsule
from core.phantom.shapes import OldCleft, average_shape
from core.phantom.sizes import LEVELS, SIZES
from core.phantom.upper_cervical import ATLAS_ORIGIN
from core.phantom.vertebrae import bounds, reach, vertebra_distance, vertebra_field


@pytest.fixture(scope="module")
def person():
    return sample_anatomy(np.random.default_rng(5))


@pytest.fixture(scope="module")
def old_person():
    people = (sample_anatomy(np.random.default_rng(k)) for k in range(40))
    return next(p for p in people if p.age_years > 80)


def at(name, u, a, h, shape=None):
    u, a, h = np.broadcast_arrays(*(np.asarray(v, dtype=np.float32) for v in (u, a, h)))
    return vertebra_distance(name, (u, a, h), shape)


def test_a_drawn_strut_has_the_distance_of_its_formula():
    canvas = Canvas((-10, -10, -10), (10, 10, 10))
    start, end = (-4.0, 1.0, -2.0), (5.0, -2.0, 3.0)
    canvas.strut(start, end, 2.5, 1.5)
    points = tuple(np.random.default_rng(0).uniform(-8, 8, (3, 2000)).astype(np.float32))
    exact = capsule(points, start, end, 2.5, 1.5)
    near = np.abs(exact) < 1.5
    assert np.abs(canvas.sample(points) - exact)[near].max() < 0.12


def test_beyond_its_grid_a_bone_is_far_away():
    assert at("C4", 500.0, 0.0, 0.0) == FAR_MM
    assert at("C4", 0.0, 0.0, -300.0) == FAR_MM


@pytest.mark.parametrize("name", LEVELS)
def test_no_bone_touches_the_edge_of_its_grid(name, person, old_person):
    for anatomy in (person, old_person):
        d = vertebra_field(anatomy.shapes[name]).distance
        faces = [f for k in range(3) for f in (d.take(0, axis=k), d.take(-1, axis=k))]
        assert min(float(f.min()) for f in faces) > 0.3


@pytest.mark.parametrize("name", LEVELS)
def test_reach_holds_the_bounds_with_room_for_fragments(name):
    low, high = bounds(name)
    assert all(r >= max(-b, t) + 4 for r, b, t in zip(reach(name), low, high, strict=True))


@pytest.mark.parametrize("name", LEVELS[1:])
def test_the_canal_is_open_from_top_to_bottom(name):
    size = SIZES[name]
    middle = size.depth / 2 + size.canal_depth / 2
    heights = np.linspace(-25, 30, 111)
    assert at(name, 0.0, middle, heights).min() > 1.5
    angle = np.radians(np.arange(-90, 91, 10))[:, None]
    u, a = 0.85 * size.canal_width / 2 * np.sin(angle), 0.85 * size.canal_depth / 2 * np.cos(angle)
    assert at(name, u, middle - a, np.linspace(-4, 4, 33)).min() > 0.3


def test_worn_joints_do_not_grow_into_the_canal():
    size, shape = SIZES["C5"], average_shape("C5")
    worn = replace(shape, facets=replace(shape.facets, bulk=(3.0, 3.0)))
    wall = 0.9 * size.canal_width / 2
    middle = size.depth / 2 + size.canal_depth / 2
    for side in (-1, 1):
        assert at("C5", side * wall, middle, np.linspace(-4, 4, 17), worn).min() > 0.2
        assert at("C5", side * (size.pillar_u + 6.5), size.pillar_a, 0.0, worn) < 0


@pytest.mark.parametrize("name", ["C3", "C4", "C5", "C6"])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_closed_ring_of_bone_surrounds_each_transverse_foramen(name, side):
    size = SIZES[name]
    u, a = side * size.foramen_u, size.foramen_a
    assert at(name, u, a, np.linspace(-8, 8, 33)).min() > 2.4
    angle = np.radians(np.arange(0, 360, 10))[:, None, None]
    r, h = np.linspace(2.5, 9, 40)[None, :, None], np.linspace(-6, 4, 21)[None, None, :]
    around = at(name, u + r * np.sin(angle), a + r * np.cos(angle), h)
    assert np.all(around.min(axis=(1, 2)) < 0)


def test_c7_has_smaller_foramina_than_c6_and_the_chest_has_none():
    assert average_shape("C7").foramen_mm[0] < 0.7 * average_shape("C6").foramen_mm[0]
    assert not SIZES["T1"].foramina


def test_uncinate_processes_rise_above_the_end_plate():
    size = SIZES["C5"]
    u = size.width / 2 + 0.8
    heights = np.linspace(0, 16, 161)
    edge, middle = (heights[at("C5", v, 3.0, heights) < 0].max() for v in (u, 0.0))
    assert edge > middle + 3
    assert edge == pytest.approx(heights[at("C5", -u, 3.0, heights) < 0].max(), abs=1.0)


def test_the_fork_of_c4_parts_two_tips_and_c7_ends_in_one():
    h = np.linspace(-25, 0, 101)[:, None]
    for name, forked in (("C4", True), ("C7", False)):
        size, shape = SIZES[name], average_shape(name)
        back = size.depth / 2 + size.canal_depth + size.spinous
        middle = at(name, 0.0, back + 1.5, h).min()
        side = at(name, 4.0, back + 1.5, h).min()
        assert (side < 0 < middle) if forked else (middle < 0)
        assert bool(shape.fork_mm) is forked


def test_the_dens_keeps_two_millimetres_from_the_front_arch_of_c1():
    a = np.linspace(-25, 5, 601)
    dens = at("C2", 0.0, a, ATLAS_ORIGIN[2])
    arch = at("C1", 0.0, a - ATLAS_ORIGIN[1], 0.0)
    gap = a[dens < 0].min() - a[(arch < 0) & (a < 0)].max()
    assert 1.0 < gap < 3.0


def _bone_at(anatomy, name, world):
    pose = anatomy.poses[name]
    local = ((world - pose.origin) @ pose.axes.T / anatomy.scale).astype(np.float32)
    return vertebra_distance(name, tuple(local.T), anatomy.shapes[name]) * anatomy.scale


@pytest.mark.parametrize("side", [-1, 1])
def test_a_joint_space_parts_the_articular_processes_of_neighbours(side, person, old_person):
    for anatomy in (person, old_person):
        for upper, lower in pairwise(LEVELS[1:8]):
            ends = []
            for name in (upper, lower):
                size, pose = anatomy.shapes[name].size, anatomy.poses[name]
                spot = np.array((side * size.pillar_u, size.pillar_a, 0.0))
                ends.append(pose.origin + anatomy.scale * spot @ pose.axes)
            share = np.linspace(0, 1, 400)[:, None]
            line = ends[0] * (1 - share) + ends[1] * share
            above, below = (_bone_at(anatomy, n, line) < 0 for n in (upper, lower))
            assert above[:60].all()
            assert below[-60:].all()
            assert not (above & below).any()
            space = np.linalg.norm(ends[1] - ends[0]) * (~(above | below)).mean()
            assert 0.3 < space < 5.0


def test_neighbouring_vertebrae_hardly_overlap(person):
    low, high = np.array([-45, -35, -75.0]), np.array([45, 75, 75.0])
    world = np.random.default_rng(0).uniform(low, high, (150_000, 3))
    inside = {n: _bone_at(person, n, world) < 0 for n in LEVELS[:8]}
    for upper, lower in pairwise(LEVELS[:8]):
        both = np.count_nonzero(inside[upper] & inside[lower])
        assert both <= 0.01 * np.count_nonzero(inside[lower])


def test_an_old_cleft_is_a_gap_with_bone_on_both_sides():
    size = SIZES["C7"]
    back = size.depth / 2 + size.canal_depth + 0.6 * size.spinous
    h = -2.0 - 0.42 * 0.6 * size.spinous
    cleft = OldCleft((0, back, h), (0, 1.0, 0), 2.0, (-8, back - 6, h - 12), (8, back + 6, h + 12))
    shape = replace(average_shape("C7"), old_clefts=(cleft,))
    assert at("C7", 0.0, back, h) < 0
    assert at("C7", 0.0, back, h, shape) > 0.5
    assert at("C7", 0.0, np.array([back - 3, back + 3]), h, shape).max() < 0


def test_cortex_is_dense_and_the_vein_of_the_body_is_not(person):
    shape = person.shapes["C5"]
    depth = np.array([0.3, 5.0])
    points = tuple(np.full(2, v, dtype=np.float32) for v in (5.0, -3.0, 4.0))
    shell, core = bone_hu("C5", points, -depth, person)
    assert shell > 700
    assert abs(core - person.trabecular_hu) < 350
    vein = tuple(np.array([v], dtype=np.float32) for v in (0.0, shape.size.depth / 2 - 2.5, 0.3))
    assert bone_hu("C5", vein, np.array([-2.5]), person)[0] < core - 40

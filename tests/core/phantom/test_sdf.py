"""Signed distances against brute force and geometry's own rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.phantom.sdf import (
    capsule,
    carve,
    ellipse,
    ellipsoid,
    rounded_intersection,
    superellipse,
    union,
    wall,
)

coordinate = st.floats(-20, 20, width=32)


def at(*point):
    return tuple(np.array([v], dtype=np.float32) for v in point)


@given(coordinate, coordinate, coordinate)
def test_a_capsule_is_as_far_as_the_nearest_point_of_its_axis(u, a, h):
    start, end = np.array([1.0, -2.0, 3.0]), np.array([-4.0, 5.0, 9.0])
    axis = start + np.linspace(0, 1, 4001)[:, None] * (end - start)
    nearest = np.linalg.norm(axis - (u, a, h), axis=1).min()
    found = capsule(at(u, a, h), tuple(start), tuple(end), 2.5)
    assert found[0] == pytest.approx(nearest - 2.5, abs=0.01)


def test_a_wall_ends_at_its_heights_and_half_its_thickness_from_its_path():
    path = [(0.0, 0.0), (10.0, 0.0)]
    side = wall(at(5, 4, 0), path, 2.0, -5, 5)
    top = wall(at(5, 0, 9), path, 2.0, -5, 5)
    assert side[0] == pytest.approx(3.0, abs=0.01)
    assert top[0] == pytest.approx(4.0, abs=0.01)


@given(st.floats(0, 2 * np.pi), st.floats(2, 20), st.floats(2, 20))
def test_ellipses_vanish_on_their_outline(angle, ru, ra):
    u, a = np.array([ru * np.cos(angle)]), np.array([ra * np.sin(angle)])
    assert ellipse(u, a, ru, ra)[0] == pytest.approx(0, abs=1e-3)
    assert superellipse(u, a, ru, ra, 2.0)[0] == pytest.approx(0, abs=1e-3)


def test_a_superellipse_of_power_two_is_nearly_the_ellipse_near_its_outline():
    u, a = np.meshgrid(np.linspace(-9, 9, 37), np.linspace(-7, 7, 29))
    first, second = ellipse(u, a, 8.0, 6.0), superellipse(u, a, 8.0, 6.0, 2.0)
    near = (np.abs(first) < 0.8) & (np.hypot(u, a) > 1)
    assert np.abs(first - second)[near].max() < 0.1


def test_a_ball_is_exact_everywhere():
    points = tuple(np.random.default_rng(0).uniform(-9, 9, (3, 500)).astype(np.float32))
    expected = np.sqrt(sum(p**2 for p in points)) - 4
    found = ellipsoid(points, (0, 0, 0), (4, 4, 4))
    far_from_middle = expected > -3.5
    np.testing.assert_allclose(found[far_from_middle], expected[far_from_middle], atol=1e-3)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_unions_hold_both_parts_and_carving_takes_the_hole_out(first, second):
    f, s = np.array([first]), np.array([second])
    joined = union(f, s, blend=1.5)[0]
    assert min(first, second) - 0.3751 - 1e-6 <= joined <= min(first, second) + 1e-6
    assert carve(f, s)[0] == max(first, -second)
    assert rounded_intersection(f, s, 1.0)[0] >= max(first, second) - 1e-6

"""Cracks take their exact share of the voxels they cross; fragments move as specified."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.phantom import fractures as module
from core.phantom.fractures import Break, Collapse, Fracture, Fragment
from core.phantom.vertebrae import vertebra_distance

PHASES = (0.4, 1.9, 3.1)


def everywhere(points):
    return np.ones(np.broadcast_shapes(*(p.shape for p in points)), dtype=bool)


def crack(normal=(0.0, 0.0, 1.0), gap=1.0, point=(0.0, 0.0, 0.0), region=everywhere, **more):
    return Break(point, normal, gap, region, PHASES, **more)


def c5(*breaks, **more):
    return Fracture("C5", "made", breaks, **more)


def grid(half=(4, 4, 3), step=0.5, center=(0.0, 0.0, 0.0)):
    axes = [
        np.arange(-r, r + step / 2, step, dtype=np.float32) + np.float32(c)
        for r, c in zip(half, center, strict=True)
    ]
    return tuple(np.ascontiguousarray(p) for p in np.meshgrid(*axes, indexing="ij"))


@pytest.fixture
def smooth(monkeypatch):
    monkeypatch.setattr(module, "ROUGHNESS_MM", 0.0)


@given(st.floats(0.3, 2.0), st.floats(0.35, 1.5), st.floats(-0.7, 0.7))
@settings(max_examples=40, deadline=None)
def test_the_voxels_along_a_line_lose_exactly_the_gap(gap, step, offset):
    h = np.arange(-6 * step, 6.5 * step, step, dtype=np.float32) + np.float32(offset)
    points = (np.zeros_like(h), np.zeros_like(h), h)
    flat = crack(gap=gap)
    bone = c5(flat).sample(points, None, np.eye(3) * step)
    assert bone.gap.sum() * step == pytest.approx(gap, abs=1e-4)
    assert ((bone.gap >= 0) & (bone.gap <= 1)).all()


NORMALS = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda n: np.linalg.norm(n) > 0.3)


@given(NORMALS, st.floats(0.3, 2.0))
@settings(max_examples=30, deadline=None)
def test_every_voxel_that_the_crack_touches_is_marked_and_no_other(normal, gap):
    edges = np.diag([0.8, 0.5, 1.1])
    points = grid((2.4, 2.4, 2.4), 0.6)
    cut = crack(normal, gap)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROUGHNESS_MM", 0.0)
        found = c5(cut).sample(points, None, edges).crossed
    n = np.array(normal) / np.linalg.norm(normal)
    corners = [
        sum(n[k] * (points[k].astype(float) + sign[k] * edges[k, k] / 2) for k in range(3))
        for sign in product((-1, 1), repeat=3)
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    margin = np.minimum(np.abs(low - gap / 2), np.abs(high + gap / 2))
    expected = (low < gap / 2) & (high > -gap / 2)
    sure = margin > 1e-4
    assert (found == expected)[sure].all()


def test_an_oblique_crack_is_spread_as_widely_as_the_voxels_are(smooth):
    normal, gap, edges = np.array([1.0, 1.0, 0.4]), 0.4, np.diag([0.8, 0.8, 1.2])
    n = normal / np.linalg.norm(normal)
    s = np.linspace(-2, 2, 161)
    points = tuple((s * n[k]).astype(np.float32) for k in range(3))
    share = c5(crack(tuple(normal), gap)).sample(points, None, edges).gap
    inside = (np.random.default_rng(0).uniform(-0.5, 0.5, (20_000, 3)) @ edges) @ n
    truth = np.array([(np.abs(at + inside) < gap / 2).mean() for at in s])
    assert share.sum() == pytest.approx(truth.sum(), rel=0.01)
    assert (share * s**2).sum() == pytest.approx((truth * s**2).sum(), rel=0.04)


def test_a_hairline_marks_and_darkens_voxels_much_wider_than_itself():
    points = grid(step=0.8)
    bone = c5(crack(gap=0.3)).sample(points, None, np.eye(3) * 0.8)
    per_column = bone.crossed.sum(axis=2)
    assert (per_column >= 1).all()
    assert bone.gap[bone.crossed].max() == pytest.approx(0.3 / 0.8, abs=1e-3)


def test_an_undisplaced_crack_leaves_the_bones_surface_alone():
    points = grid((12, 12, 9), 1.0)
    bone = c5(crack((1.0, 0.4, 0.2), 0.7)).sample(points)
    np.testing.assert_array_equal(bone.distance, vertebra_distance("C5", points))


def test_a_crack_stays_in_bone_and_in_its_region():
    points = grid((14, 14, 10), 0.7)
    right = crack((0.0, 1.0, 0.0), 0.8, region=lambda p: p[0] < 0)
    bone = c5(right).sample(points)
    u = np.broadcast_to(points[0], bone.crossed.shape)
    assert bone.crossed.any()
    assert (u[bone.crossed] < 0).all()
    assert (vertebra_distance("C5", points)[bone.crossed] < 0).all()
    assert (bone.gap[u >= 0] == 0).all()


def test_a_fragment_moves_as_one_piece_and_the_rest_stays():
    shift = (0.0, -1.5, 0.0)
    front = lambda p: p[1] < 1  # noqa: E731
    fracture = c5(crack((0.0, 0.0, -1.0), 0.5), fragments=(Fragment(shift, (0,), front),))
    points = grid((6, 10, 6), 1.0)
    u, a, h = points
    side = fracture.breaks[0].side(points)
    moved = (side > 0) & (a < 1)
    whole = vertebra_distance("C5", points)
    carried = vertebra_distance("C5", (u, a + np.float32(1.5), h))
    found = fracture.sample(points).distance
    np.testing.assert_allclose(found, np.where(moved, carried, whole), atol=1e-5)
    assert fracture.displacement_mm == pytest.approx(1.5)


def test_a_bent_fragment_follows_fully_at_its_crack_and_not_at_all_far_from_it():
    bent = Fragment((0.0, 2.0, 0.0), (0,), everywhere, bend_mm=10.0)
    u = np.array([-1.0, 0.01, 5.0, 9.99, 30.0], dtype=np.float32)
    points = (u, np.zeros_like(u), np.zeros_like(u))
    weight = bent.weight(points, [u])
    np.testing.assert_allclose(weight, [0, 1, 0.5, 0, 0], atol=1e-3)


@pytest.mark.parametrize("scale", [0.9, 1.0, 1.15])
def test_gap_and_shift_are_mm_of_the_person(scale, smooth):
    step = 0.25 / scale
    h = np.arange(-3, 3, step, dtype=np.float32)
    points = (np.zeros_like(h), np.zeros_like(h), h)
    bone = c5(crack(gap=1.2), scale=scale).sample(points, None, np.eye(3) * step)
    assert bone.gap.sum() * step * scale == pytest.approx(1.2, abs=1e-3)
    moved = c5(crack(gap=0.3), fragments=(Fragment((0.0, -2.0, 0.0), (), everywhere),), scale=scale)
    points = grid((3, 9, 3), 1.0)
    carried = vertebra_distance("C5", (points[0], points[1] + np.float32(2 / scale), points[2]))
    np.testing.assert_allclose(moved.sample(points).distance, carried, atol=1e-4)


def top_of(fracture, a):
    """Height of the upper end plate of C5 in the midline at a given depth."""
    h = np.arange(0, 10, 0.01, dtype=np.float32)
    points = (np.zeros_like(h), np.full_like(h, a), h)
    whole = vertebra_distance("C5", points) if fracture is None else None
    distance = whole if fracture is None else fracture.sample(points).distance
    return float(h[np.flatnonzero(distance < 0)[-1]])


def test_a_wedge_sinks_in_front_and_a_burst_all_over():
    wedge, burst = c5(collapse=Collapse(3.0, True)), c5(collapse=Collapse(2.0, False))
    assert top_of(None, -6.5) - top_of(wedge, -6.5) == pytest.approx(3 * 14.75 / 16.5, abs=0.3)
    assert top_of(None, 7.0) - top_of(wedge, 7.0) == pytest.approx(3 * 1.25 / 16.5, abs=0.1)
    for a in (-6.5, 0.0):
        assert top_of(None, a) - top_of(burst, a) == pytest.approx(2.0, abs=0.3)
    assert wedge.displacement_mm == 3.0
    assert wedge.gap_mm == 0.0


def test_a_collapse_without_a_gap_marks_the_packed_band_under_the_end_plate():
    fracture = c5(collapse=Collapse(2.5, True))
    points = grid((8, 7, 9), 0.5)
    bone = fracture.sample(points)
    h, a = points[2][bone.crossed], points[1][bone.crossed]
    assert bone.crossed.sum() > 200
    assert h.min() > 0
    assert a.max() < 6
    assert (bone.gap == 0).all()
    assert (bone.distance[bone.crossed] < 0).all()
    assert (bone.packed[~bone.crossed] <= module.PACKED).all()


def test_scattered_points_give_what_a_grid_gives():
    fracture = c5(crack((1.0, 0.2, 0.1), 0.6), collapse=Collapse(2.0, True))
    points = grid((6, 6, 6), 1.0)
    whole = fracture.sample(points)
    flat = fracture.sample(tuple(p.ravel() for p in points))
    np.testing.assert_array_equal(flat.distance, whole.distance.ravel())
    np.testing.assert_array_equal(flat.gap, whole.gap.ravel())
    np.testing.assert_array_equal(flat.crossed, whole.crossed.ravel())

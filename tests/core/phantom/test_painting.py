"""Bone is mixed into the voxels that it covers in part, and marked where it is."""

from dataclasses import replace

import numpy as np
import pytest

from core.phantom import painting
from core.phantom.anatomy import sample_anatomy
from core.phantom.fractures import BrokenBone
from core.phantom.grid import Grid
from core.phantom.painting import PaintedVolume, paint_vertebra
from core.phantom.posture import Pose

GRID = Grid(20, 40, 1.0, 3.0, (-20.0, -20.0, 30.0))
MIDDLE = 10
"""The slice at z = 0."""


@pytest.fixture(scope="module")
def person():
    """C5 stands upright in the frame's origin."""
    anatomy = sample_anatomy(np.random.default_rng(0))
    upright = anatomy.poses | {"C5": Pose(np.zeros(3), np.eye(3))}
    return replace(anatomy, scale=1.0, poses=upright)


@pytest.fixture
def volume():
    shape = (20, 40, 40)
    empty = np.zeros(shape, dtype=np.uint8)
    return PaintedVolume(GRID, np.zeros(shape, dtype=np.float32), empty, empty.copy())


def solid(monkeypatch, distance):
    """Let C5 be a solid of 1000 HU with that signed distance of (u, a, h)."""
    monkeypatch.setattr(painting, "vertebra_distance", lambda name, p, shape: distance(*p))
    monkeypatch.setattr(painting, "bone_hu", lambda name, p, d, anatomy: np.full_like(d, 1000.0))


def test_a_plate_of_a_third_of_the_slice_is_a_third_as_bright(monkeypatch, person, volume):
    solid(monkeypatch, lambda u, a, h: np.abs(h) + 0 * (u + a) - np.float32(0.5))
    paint_vertebra(volume, "C5", 5, person, None)
    assert volume.hu[MIDDLE] == pytest.approx(1000 / 3, abs=1)
    assert (volume.hu[MIDDLE + 1] == 0).all()


def test_a_plate_that_fills_the_slice_is_bright_and_marked(monkeypatch, person, volume):
    solid(monkeypatch, lambda u, a, h: np.abs(h) + 0 * (u + a) - np.float32(1.5))
    paint_vertebra(volume, "C5", 5, person, None)
    assert volume.hu[MIDDLE] == pytest.approx(1000, abs=1)
    assert (volume.mask[MIDDLE] == 5).all()
    assert not volume.mask[MIDDLE + 1].any()
    assert not volume.clefts.any()


def test_a_face_through_a_voxel_leaves_its_share_in_plane(monkeypatch, person, volume):
    # Columns stand at whole millimetres; the bone ends a quarter of a voxel to the left of 3.
    solid(monkeypatch, lambda u, a, h: u + 0 * (a + h) - np.float32(2.75))
    paint_vertebra(volume, "C5", 5, person, None)
    row = volume.hu[MIDDLE, 20]
    assert row[22:25] == pytest.approx([1000, 250, 0], abs=1)


def test_a_sphere_keeps_its_volume(monkeypatch, person, volume):
    solid(monkeypatch, lambda u, a, h: np.sqrt(u * u + a * a + h * h) - np.float32(9))
    paint_vertebra(volume, "C5", 5, person, None)
    true = 4 / 3 * np.pi * 9**3
    assert volume.hu.sum() / 1000 * 3.0 == pytest.approx(true, rel=0.03)
    assert np.count_nonzero(volume.mask) * 3.0 == pytest.approx(true, rel=0.06)


def test_cracks_are_marked_and_keep_what_the_bone_does_not_fill(monkeypatch, person, volume):
    solid(monkeypatch, lambda u, a, h: np.abs(h) + 0 * (u + a) - np.float32(9))

    class Cracked:
        def sample(self, points, shape, voxel):
            u, a, h = points
            distance = np.abs(h) + 0 * (u + a) - np.float32(9)
            crossed = np.abs(u) < 0.5
            gap = np.where(crossed, np.float32(0.4), np.float32(0))
            assert np.linalg.norm(voxel, axis=1) == pytest.approx([1.0, 1.0, 1.0])
            return BrokenBone(distance, gap, crossed, np.zeros_like(distance))

    volume.hu[:] = 60
    paint_vertebra(volume, "C5", 5, person, Cracked())
    assert volume.hu[MIDDLE, 20, 20] == pytest.approx(0.6 * 1000 + 0.4 * 60, abs=1)
    assert set(np.flatnonzero(volume.clefts[MIDDLE].any(axis=0))) == {20}
    assert (volume.mask[MIDDLE] == 5).all()


def test_a_vertebra_outside_the_field_paints_nothing(person, volume):
    far = person.poses | {"C5": Pose(np.array([0.0, 0.0, 500.0]), np.eye(3))}
    paint_vertebra(volume, "C5", 5, replace(person, poses=far), None)
    assert not volume.hu.any()

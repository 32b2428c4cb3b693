from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.inference.boxes.tracks import Box3D as Track
from core.types import BoxPrediction, HuWindow
from core.visualization.boxes import join_boxes, place_tracks
from core.visualization.planes import axial_plane, bounds, upright_plane
from tests.core.visualization.solids import volume_of

RAMP = HuWindow(127.5, 255.0)


def ramp(axis, n=40):
    """HU equal to an index along one axis."""
    shape = (n, n, n)
    return np.broadcast_to(np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)]), shape)


def value_at(plane, point):
    """The picture's value at a world point that lies in the plane."""
    corner, right, lower = plane.corners
    rows, columns = plane.image.shape
    u, v = right - corner, lower - corner
    x = np.dot(point - corner, u) / np.dot(u, u) * columns - 0.5
    y = np.dot(point - corner, v) / np.dot(v, v) * rows - 0.5
    return plane.image[round(y), round(x)]


def test_every_plane_shows_the_voxel_that_lies_there():
    for axis, spacing in ((0, (2.0, 1.0, 1.0)), (1, (2.0, 1.0, 1.0)), (2, (2.0, 1.0, 1.0))):
        volume = volume_of(ramp(axis), spacing, origin=(10, -20, 30))
        voxel = np.array([12, 25, 8, 1])
        world = (volume.affine @ voxel)[:3]
        expected = voxel[axis]
        assert abs(int(value_at(axial_plane(volume, 12, RAMP), world)) - expected) <= 1
        for turn in (0, 35, 90, 140):
            found = value_at(upright_plane(volume, world, turn, RAMP), world)
            assert abs(int(found) - expected) <= 1, (axis, turn)


def test_the_sagittal_plane_has_the_front_on_its_left_and_the_head_on_top():
    volume = volume_of(np.zeros((10, 12, 14)))
    plane = upright_plane(volume, np.array([5.0, 5.0, -5.0]), 0, RAMP)
    corner, right, lower = plane.corners
    assert right[1] > corner[1]
    assert lower[2] < corner[2]
    assert right[0] == pytest.approx(corner[0])
    narrow = upright_plane(volume, np.array([5.0, 5.0, -5.0]), 0, RAMP, half_width_mm=2.0)
    assert narrow.corners[1][1] - narrow.corners[0][1] == pytest.approx(4.0)


def test_a_plane_beside_the_volume_is_air_and_a_wrong_slice_is_refused():
    volume = volume_of(np.full((4, 8, 8), 900))
    outside = upright_plane(volume, np.array([500.0, 0.0, 0.0]), 45, RAMP)
    assert not outside.image.any()
    with pytest.raises(ValueError, match="0 to 3"):
        axial_plane(volume, 4, RAMP)
    low, high = bounds(volume)
    assert low == pytest.approx([-0.5, -0.5, -3.5])
    assert high == pytest.approx([7.5, 7.5, 0.5])
    picture = axial_plane(volume, 0, RAMP).jpeg()
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (8, 8)


def box(index, x0, y0, x1, y1, score=1.0):
    return BoxPrediction((x0, y0, x1, y1), index, score)


def test_boxes_of_neighbouring_slices_become_one_box_in_the_patient():
    volume = volume_of(np.zeros((20, 50, 50)), (2.0, 0.5, 0.5), origin=(100, 200, 300))
    chain = [box(4, 10, 20, 20, 30, 0.4), box(5, 12, 20, 24, 31, 0.9), box(7, 12, 22, 22, 30, 0.6)]
    (found,) = join_boxes(chain[::-1], volume)
    low, high = found.min(axis=0), found.max(axis=0)
    assert low == pytest.approx([100 + 9.5 * 0.5, 200 + 19.5 * 0.5, 300 - 7.5 * 2])
    assert high == pytest.approx([100 + 23.5 * 0.5, 200 + 30.5 * 0.5, 300 - 3.5 * 2])


def test_boxes_apart_in_plane_or_along_z_stay_apart():
    volume = volume_of(np.zeros((30, 50, 50)))
    assert len(join_boxes([box(3, 0, 0, 5, 5), box(4, 30, 30, 40, 40)], volume)) == 2
    assert len(join_boxes([box(3, 0, 0, 5, 5), box(7, 0, 0, 5, 5)], volume)) == 2
    assert len(join_boxes([box(3, 0, 0, 5, 5), box(6, 0, 0, 5, 5)], volume)) == 1
    assert len(join_boxes([box(3, 0, 0, 5, 5), box(4, 5, 0, 9, 5)], volume)) == 2
    assert join_boxes([], volume) == ()


def test_a_localisers_track_lies_where_the_same_boxes_of_the_table_lie():
    volume = volume_of(np.zeros((20, 50, 50)), (2.0, 0.5, 0.5), origin=(1, 2, 3))
    (true,) = join_boxes([box(4, 10, 20, 20, 30), box(6, 12, 18, 22, 30)], volume)
    (placed,) = place_tracks([Track(4, 6, (10.0, 18.0, 22.0, 30.0), 0.9, 2)], volume)
    np.testing.assert_allclose(placed, true)

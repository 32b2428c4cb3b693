from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.visualization.surfaces import Surface, SurfaceSettings, label_surfaces, mask_surface
from tests.core.visualization.solids import affine, ball, grid

FINE = SurfaceSettings(triangles=0)


def is_closed(surface):
    """Whether every edge is run once in each direction."""
    edges = np.concatenate([surface.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    forth = edges[:, 0].astype(np.int64) * len(surface.points) + edges[:, 1]
    back = edges[:, 1].astype(np.int64) * len(surface.points) + edges[:, 0]
    return np.array_equal(np.sort(forth), np.sort(back))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.6, 0.6), (0.7, 0.4, 0.5)])
def test_a_ball_has_the_volume_area_and_place_of_a_ball(spacing):
    radius = 14.0
    shape = tuple(int(36 / step) | 1 for step in spacing)
    surface = mask_surface(ball(shape, spacing, radius), affine(spacing, (5, -3, 9)), name="ball")
    assert surface.volume_mm3 == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.03)
    assert surface.area_mm2 == pytest.approx(4 * math.pi * radius**2, rel=0.05)
    assert surface.volume_mm3 == pytest.approx(surface.voxel_mm3, rel=0.03)
    middle = [(n - 1) / 2 * step for n, step in zip(shape, spacing, strict=True)]
    expected = [5 + middle[2], -3 + middle[1], 9 - middle[0]]
    assert surface.center == pytest.approx(expected, abs=0.2)
    radii = np.linalg.norm(surface.points - expected, axis=1)
    assert abs(radii - radius).max() < max(spacing)


def test_a_block_keeps_its_faces_where_they_are():
    mask = np.zeros((24, 30, 36), bool)
    mask[6:18, 5:25, 8:28] = True
    surface = mask_surface(mask, affine((1.0, 0.5, 0.5)), SurfaceSettings(smoothing_mm=0), name="b")
    assert surface.points.min(axis=0) == pytest.approx([3.75, 2.25, -17.5], abs=0.12)
    assert surface.points.max(axis=0) == pytest.approx([13.75, 12.25, -5.5], abs=0.12)
    assert surface.volume_mm3 == pytest.approx(12 * 10 * 10, rel=0.02)


@pytest.mark.parametrize("flipped", [False, True])
def test_triangles_face_outwards_whatever_the_hand_of_the_grid(flipped):
    mask = ball((20, 20, 20), (1, 1, 1), 7)
    surface = mask_surface(mask, affine((1, 1, 1), flipped=flipped), FINE, name="ball")
    assert surface.volume_mm3 > 0
    corners = surface.points[surface.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = corners.mean(axis=1) - surface.center
    assert (np.einsum("ij,ij->i", normal, outward) > 0).mean() > 0.999


def test_the_figures_agree_with_vtk():
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkMassProperties

    z, y, x = grid((30, 40, 40), (1, 1, 1))
    ring = (np.hypot(x, y) - 12) ** 2 + z**2 <= 5**2
    surface = mask_surface(ring, affine((1, 1, 1)), name="ring")
    points, cells, data = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(surface.points))
    rows = np.insert(surface.triangles.astype(np.int64), 0, 3, axis=1)
    cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(rows.ravel(), deep=True))
    data.SetPoints(points)
    data.SetPolys(cells)
    peer = vtkMassProperties()
    peer.SetInputData(data)
    assert surface.volume_mm3 == pytest.approx(peer.GetVolume(), rel=1e-3)
    assert surface.area_mm2 == pytest.approx(peer.GetSurfaceArea(), rel=1e-4)
    assert surface.volume_mm3 == pytest.approx(surface.voxel_mm3, rel=0.01)
    assert surface.voxel_mm3 == pytest.approx(2 * math.pi**2 * 12 * 25, rel=0.08)


def test_a_closed_cavity_is_filled_and_a_canal_stays_open():
    hollow = ball((30, 30, 30), (1, 1, 1), 12) & ~ball((30, 30, 30), (1, 1, 1), 6)
    whole = mask_surface(hollow, affine((1, 1, 1)), FINE, name="hollow")
    assert whole.voxel_mm3 == ball((30, 30, 30), (1, 1, 1), 12).sum()
    kept = mask_surface(hollow, affine((1, 1, 1)), SurfaceSettings(fill_holes=False), name="hollow")
    assert kept.voxel_mm3 == hollow.sum()
    z, y, x = grid((30, 40, 40), (1, 1, 1))
    pipe = (np.hypot(x, y) < 15) & (np.hypot(x, y) > 8) & (abs(z) < 10)
    tube = mask_surface(pipe, affine((1, 1, 1)), FINE, name="pipe")
    assert tube.voxel_mm3 == pipe.sum()
    # Euler's number of a closed surface with one handle is 0.
    edges = len(tube.triangles) * 3 // 2
    assert len(tube.points) - edges + len(tube.triangles) == 0


def test_nothing_comes_of_nothing_and_specks_are_dropped():
    empty = np.zeros((5, 6, 7), np.uint8)
    assert label_surfaces(empty, affine((1, 1, 1))) == {}
    assert label_surfaces(np.zeros((0, 0, 0), np.uint8), affine((1, 1, 1))) == {}
    speck = empty.copy()
    speck[2, 3, 3] = 4
    assert label_surfaces(speck, affine((1, 1, 1))) == {}
    tiny = SurfaceSettings(least_mm3=0, smoothing_mm=0)
    assert list(label_surfaces(speck, affine((1, 1, 1)), tiny)) == ["C4"]


def test_an_object_cut_by_the_edge_is_closed_there():
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[:, :, 6:] = 3
    labels[:5, :, :6] = 8
    found = label_surfaces(labels, affine((2, 1, 1)))
    assert list(found) == ["C3", "T1"]
    for surface in found.values():
        assert is_closed(surface)
        assert surface.volume_mm3 == pytest.approx(surface.voxel_mm3, rel=0.06)


def test_decimation_keeps_the_shape_and_the_promise():
    mask = ball((60, 60, 60), (0.5, 0.5, 0.5), 13)
    settings_ = SurfaceSettings(triangles=2000)
    surface = mask_surface(mask, affine((0.5, 0.5, 0.5)), settings_, name="ball")
    assert len(surface.triangles) <= 2000
    assert is_closed(surface)
    assert surface.volume_mm3 == pytest.approx(surface.voxel_mm3, rel=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_any_lump_gives_a_closed_surface_of_its_volume(seed, one_slice):
    rng = np.random.default_rng(seed)
    shape = (1 if one_slice else 14, 16, 18)
    lump = ndimage.gaussian_filter(rng.normal(size=shape), 2.0)
    mask = lump > np.quantile(lump, 0.7)
    surface = mask_surface(mask, affine((1.5, 1, 1)), name="lump")
    if surface is not None:
        assert is_closed(surface)
        assert surface.volume_mm3 > 0
        if not one_slice:
            assert surface.volume_mm3 == pytest.approx(surface.voxel_mm3, rel=0.25)
        assert np.isfinite(surface.points).all()


def test_an_open_surface_is_called_open():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    assert is_closed(Surface("t", points, faces, 1 / 6))
    assert Surface("t", points, faces, 1 / 6).volume_mm3 == pytest.approx(1 / 6)
    assert not is_closed(Surface("t", points, faces[:3], 1 / 6))


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="above 0 mm"):
        SurfaceSettings(grid_mm=0)
    with pytest.raises(ValueError, match="negative"):
        SurfaceSettings(smoothing_mm=-1)
    with pytest.raises(ValueError, match="axes"):
        label_surfaces(np.zeros((3, 3), np.uint8), affine((1, 1, 1)))

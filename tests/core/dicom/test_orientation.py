"""Whatever plane and direction a series is stored in, it becomes the same volume."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation

from core.dicom.orientation import (
    file_edges,
    file_points,
    nearest_axes,
    to_file_order,
    to_volume_order,
    volume_affine,
    volume_edges,
    volume_points,
)
from core.dicom.series import read_series
from core.dicom.series_grid import series_axes, series_grid
from core.errors import DicomSeriesError
from core.types import AxisOrder
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.core.dicom.turned_series import LPS_RAS, ORDERS, write_turned

SPACING = (2.0, 0.5, 0.75)
AFFINE = np.array(
    [[0.0, 0.0, 0.75, -30.0], [0.0, 0.5, 0.0, -80.0], [-2.0, 0.0, 0.0, 120.0], [0, 0, 0, 1.0]]
)
"""Of the volumes below: rows to the left, columns to the back, slices to the feet."""
WANTED = axcodes2ornt(("I", "P", "L"))


def names(order) -> str:
    return "".join(f"{'+-'[int(sign < 0)]}{axis}" for axis, sign in order)


def rotated(degrees, axes="zyx") -> np.ndarray:
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler(axes, degrees, degrees=True).as_matrix()
    return turned @ AFFINE


@pytest.mark.parametrize("order", ORDERS, ids=names)
def test_every_order_of_the_axes_gives_the_same_volume(tmp_path, order):
    hu = made_hu(6, 5, 7)
    write_turned(tmp_path / "s", hu, AFFINE, order, study_uid="1.2.3")
    volume = read_series(tmp_path / "s", jobs=1)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.flags.c_contiguous
    assert not volume.hu.flags.writeable
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    np.testing.assert_allclose(volume.spacing_mm, SPACING, atol=1e-6)
    np.testing.assert_allclose(volume.z_mm, 120 - 2 * np.arange(6), atol=1e-6)
    assert volume.slice_thickness_mm == pytest.approx(2.0, abs=1e-6)
    grid = series_grid(tmp_path / "s")
    assert grid.hu.shape == hu.shape
    assert series_axes(tmp_path / "s") == volume.axes == grid.axes
    np.testing.assert_array_equal(grid.affine, volume.affine)
    assert bool(volume.notes) is not volume.axes.is_identity


@pytest.mark.parametrize("order", ORDERS[::5], ids=names)
def test_the_files_of_a_volume_are_found_in_it_by_its_axes(tmp_path, order):
    hu = made_hu(6, 5, 7)
    write_turned(tmp_path / "s", hu, AFFINE, order)
    volume = read_series(tmp_path / "s", jobs=1)
    for path, plane in zip(volume.source_files, to_file_order(volume.hu, volume.axes), strict=True):
        np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array - 1024.0, plane)


def test_threads_read_a_turned_series_as_one_thread_does(tmp_path):
    hu = made_hu(12, 9, 14)
    write_turned(tmp_path / "s", hu, AFFINE, ORDERS[-1])
    np.testing.assert_array_equal(read_series(tmp_path / "s", jobs=4).hu, hu)


def test_rows_flipped_with_their_position_are_the_same_patient(tmp_path):
    hu = made_hu(4, 6, 8)

    def flip(dataset, _):
        x, y, z = (float(value) for value in dataset.ImagePositionPatient)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, -1, 0]
        dataset.ImagePositionPatient = [x, y + 5 * 0.5, z]

    write_ct_series(tmp_path / "plain", hu)
    write_ct_series(tmp_path / "flipped", hu[:, ::-1], edit=flip)
    plain, flipped = read_series(tmp_path / "plain"), read_series(tmp_path / "flipped")
    np.testing.assert_array_equal(flipped.hu, plain.hu)
    np.testing.assert_allclose(flipped.affine, plain.affine, atol=1e-9)
    assert plain.notes == ()
    assert any("turned or mirrored" in note for note in flipped.notes)
    assert flipped.slice_instance_numbers == flipped.instance_numbers == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [((0, 1, 0, 0, 0, -1), "sagittal"), ((1, 0, 0, 0, 0, -1), "coronal")],
)
def test_the_plane_of_the_files_is_named(tmp_path, orientation, plane):
    write_ct_series(tmp_path, made_hu(3), orientation=orientation)
    volume = read_series(tmp_path)
    assert any(f"stored in {plane} slices" in note for note in volume.notes)
    assert volume.slice_instance_numbers == ()
    assert len(volume.source_files) == len(volume.instance_numbers) == 3


def test_sagittal_slices_at_uneven_distances_are_refused(tmp_path):
    options = {"orientation": (0, 1, 0, 0, 0, -1), "z_mm": [9.0, 8.0, 6.0, 5.0]}
    write_ct_series(tmp_path, made_hu(4), **options)
    with pytest.raises(DicomSeriesError, match="sagittal slices at uneven distances"):
        read_series(tmp_path)
    assert series_axes(tmp_path) == AxisOrder()


def test_a_tilted_gantry_is_straightened_whichever_way_its_files_are_stored(tmp_path):
    """The slices lean by 10° to the back; of 31 mm of them, 5.5 mm are moved."""
    hu = made_hu(9, 24, 20)
    lean = AFFINE.copy()
    lean[1, 0] = 2.0 * np.tan(np.radians(10))
    write_turned(tmp_path / "plain", hu, lean, ORDERS[0])
    expected = read_series(tmp_path / "plain")
    assert expected.shift_px is not None
    for number, order in enumerate(ORDERS[1:8]):  # the same slices, turned within their planes
        write_turned(tmp_path / str(number), hu, lean, order)
        volume = read_series(tmp_path / str(number))
        np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-6)
        np.testing.assert_allclose(volume.hu.astype(int), expected.hu.astype(int), atol=1)


@pytest.mark.parametrize("seed", range(40))
def test_the_nearest_axes_are_those_of_nibabel(seed):
    """At most 30° from an axis, so that there is no doubt which one is meant."""
    rng = np.random.default_rng(seed)
    order = ORDERS[rng.integers(48)]
    affine = rotated(rng.uniform(-17, 17, 3))
    image = nib.Nifti1Image(np.zeros((6, 5, 7), np.int16), LPS_RAS @ affine).as_reoriented(order)
    stored = LPS_RAS @ image.affine
    axes = nearest_axes(stored)
    expected = ornt_transform(io_orientation(image.affine), WANTED)
    np.testing.assert_array_equal(np.argsort(axes.permutation), expected[:, 0])
    np.testing.assert_array_equal(np.array(axes.flips)[expected[:, 0].astype(int)],
                                  expected[:, 1] < 0)  # fmt: skip
    turned = image.as_reoriented(expected)
    shape = tuple(turned.shape)
    np.testing.assert_allclose(
        volume_affine(stored, shape, axes), LPS_RAS @ turned.affine, atol=1e-9
    )


def test_an_orientation_half_way_stays_as_it_is_stored():
    assert nearest_axes(rotated([45.0], "z")).is_identity
    assert nearest_axes(rotated([45.0], "x")).is_identity


@pytest.mark.parametrize("order", ORDERS[::3], ids=names)
def test_points_edges_and_arrays_go_there_and_back(order):
    rng = np.random.default_rng(0)
    axes = AxisOrder(tuple(order[:, 0].tolist()), tuple((order[:, 1] < 0).tolist()))
    stored = rng.integers(0, 99, (4, 5, 6))
    turned = to_volume_order(stored, axes)
    np.testing.assert_array_equal(to_file_order(turned, axes), stored)
    points = np.array([[0, 0, 0], [3, 1, 2], [2, 4, 5]], float)
    moved = volume_points(points, turned.shape, axes)
    for before, after in zip(points.astype(int), moved.astype(int), strict=True):
        assert stored[tuple(before)] == turned[tuple(after)]
    np.testing.assert_array_equal(file_points(moved, turned.shape, axes), points)
    edges = np.array([[[1.0, 0.5, 2.0], [2.0, 4.25, 6.0]]])
    there = volume_edges(edges, turned.shape, axes)
    assert (there[:, 0] < there[:, 1]).all()
    np.testing.assert_allclose(file_edges(there, turned.shape, axes), edges)
    # The voxel (1, 2, 3) spans the edges (1, 2, 3) to (2, 3, 4).
    voxel = volume_edges(np.array([[[1.0, 2, 3], [2, 3, 4]]]), turned.shape, axes)
    middle = volume_points(np.array([[1.0, 2, 3]]), turned.shape, axes)
    np.testing.assert_allclose(voxel.mean(axis=1), middle + 0.5)


def test_an_oblique_series_keeps_its_affine_up_to_the_order(tmp_path):
    """Feet first, prone and 20° oblique: every voxel keeps its place in the patient."""
    hu = made_hu(4, 5, 6)
    affine = rotated([20.0, -12.0, 180.0], "xyz")
    stored = write_turned(tmp_path / "s", hu, affine, ORDERS[13])
    volume = read_series(tmp_path / "s", jobs=1)
    assert volume.axes == nearest_axes(stored) or len(volume.source_files) > 1
    diagonal = np.diag(volume.affine[[2, 1, 0], :3])
    assert (np.sign(diagonal) == (-1, 1, 1)).all()
    place = {
        tuple(np.round((affine @ (*index, 1))[:3], 3)): value for index, value in np.ndenumerate(hu)
    }
    for index, value in np.ndenumerate(volume.hu):
        assert place[tuple(np.round((volume.affine @ (*index, 1))[:3], 3))] == value


def test_one_sagittal_file_is_a_volume_one_voxel_wide(tmp_path):
    write_ct_series(tmp_path, made_hu(1, 6, 5), orientation=(0, 1, 0, 0, 0, -1))
    volume = read_series(Path(tmp_path))
    assert volume.hu.shape == (6, 5, 1)

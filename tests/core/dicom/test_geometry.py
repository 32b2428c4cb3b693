"""Affine, spacing and the odd geometries of real series."""

from __future__ import annotations

import numpy as np
import pytest

from core.dicom.series import read_series
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


def test_affine_maps_corner_voxels_of_an_axial_series_to_lps(tmp_path):
    write_ct_series(
        tmp_path, made_hu(5, 12, 10), spacing_mm=(2.0, 0.5, 0.75), z_first_mm=100.0,
        origin_xy_mm=(-50.0, -40.0),
    )  # fmt: skip
    affine = read_series(tmp_path).affine
    np.testing.assert_allclose(affine @ (0, 0, 0, 1), (-50, -40, 100, 1))
    np.testing.assert_allclose(affine @ (4, 11, 9, 1), (-50 + 9 * 0.75, -40 + 11 * 0.5, 92, 1))


def test_affine_of_an_oblique_series_is_the_one_worked_by_hand(tmp_path):
    # Rows run to the left; columns run back and down by 30 degrees, so the normal is tipped.
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    write_ct_series(
        tmp_path, made_hu(3, 6, 4), orientation=(1, 0, 0, 0, c, -s), spacing_mm=(2.0, 1.0, 0.5),
        z_first_mm=10.0, origin_xy_mm=(0.0, 0.0),
    )  # fmt: skip
    volume = read_series(tmp_path)
    normal = np.array([0, s, c])
    np.testing.assert_allclose((volume.affine @ (0, 0, 0, 1))[:3], 10 * normal, atol=1e-6)
    expected = 6 * normal + 5 * 1.0 * np.array([0, c, -s]) + 3 * 0.5 * np.array([1, 0, 0])
    np.testing.assert_allclose((volume.affine @ (2, 5, 3, 1))[:3], expected, atol=1e-6)
    np.testing.assert_allclose(volume.z_mm, [10, 8, 6], atol=1e-6)
    assert volume.spacing_mm == pytest.approx((2.0, 1.0, 0.5))


def test_a_normal_that_points_to_the_feet_still_gives_the_head_first(tmp_path):
    # Rows to the right, columns to the back: their product points down, and left is swapped.
    hu = made_hu(4)
    write_ct_series(tmp_path, hu, orientation=(-1, 0, 0, 0, 1, 0), z_mm=[-40, -30, -20, -10])
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu[..., ::-1])
    np.testing.assert_allclose(volume.z_mm, [40, 30, 20, 10])
    assert (volume.affine @ (0, 0, 0, 1))[2] > (volume.affine @ (3, 0, 0, 1))[2]


def test_a_single_slice_takes_its_thickness(tmp_path):
    write_ct_series(tmp_path, made_hu(1), spacing_mm=(2.5, 1.0, 1.0))
    volume = read_series(tmp_path)
    assert volume.spacing_mm == (2.5, 1.0, 1.0)
    np.testing.assert_allclose(volume.affine[:3, 0], (0, 0, -2.5))
    assert any("single slice" in note for note in volume.notes)


def test_uneven_spacing_keeps_every_position_and_is_noted(tmp_path):
    z_mm = [20.0, 18.0, 16.0, 10.0, 8.0]
    write_ct_series(tmp_path, made_hu(5), z_mm=z_mm)
    volume = read_series(tmp_path)
    np.testing.assert_allclose(volume.z_mm, z_mm)
    assert volume.spacing_mm[0] == 2.0
    assert any("uneven: 2.00 to 6.00 mm" in note for note in volume.notes)


def test_positions_rounded_to_a_tenth_are_not_called_uneven(tmp_path):
    write_ct_series(tmp_path, made_hu(9), z_mm=[round(10 - 0.625 * k, 2) for k in range(9)])
    assert read_series(tmp_path).notes == ()


def test_slices_of_a_tilted_gantry_are_straightened_about_the_middle(tmp_path):
    def shear(ds, k):
        x, y, z = (float(v) for v in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [x, y + k * 0.5, z]
        ds.GantryDetectorTilt = "14"

    hu = made_hu(5)
    write_ct_series(tmp_path, hu, spacing_mm=(2.0, 0.5, 0.5), edit=shear)
    volume = read_series(tmp_path)
    np.testing.assert_allclose(volume.affine[:3, 0], (0, 0, -2.0), atol=1e-9)
    np.testing.assert_allclose(volume.affine[:3, 3], (-50, -39, 100))
    assert volume.spacing_mm[0] == 2.0
    assert any("tilted by 14.0°" in note for note in volume.notes)
    np.testing.assert_array_equal(volume.hu[2], hu[2])
    np.testing.assert_array_equal(volume.hu[3, 1:], hu[3, :-1])
    np.testing.assert_array_equal(volume.hu[0, :-2], hu[0, 2:])


def without_positions(ds, k):
    del ds.ImagePositionPatient
    ds.SliceLocation = [30, 10, 20][k]


def test_without_any_position_slice_location_orders_the_slices(tmp_path):
    hu = made_hu(3)
    write_ct_series(tmp_path, hu, edit=without_positions)
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu[[0, 2, 1]])
    np.testing.assert_allclose(volume.z_mm, (30, 20, 10))
    assert any("SliceLocation" in note for note in volume.notes)


def test_slice_locations_that_repeat_cannot_replace_positions(tmp_path):
    def repeat(ds, k):
        without_positions(ds, k)
        ds.SliceLocation = 5

    write_ct_series(tmp_path, made_hu(3), edit=repeat)
    with pytest.raises(DicomSeriesError, match="ImagePositionPatient"):
        read_series(tmp_path)


def test_without_any_orientation_slices_are_taken_as_axial(tmp_path):
    write_ct_series(
        tmp_path, made_hu(3), edit=lambda ds, _: ds.__delattr__("ImageOrientationPatient")
    )
    volume = read_series(tmp_path)
    assert any("taken as axial" in note for note in volume.notes)
    np.testing.assert_allclose(volume.affine[:3, 1], (0, 0.5, 0))


@pytest.mark.parametrize(
    "orientation", [(1, 0, 0, 1, 0, 0), (0, 0, 0, 0, 0, 0), (2, 0, 0, 0, 2, 0)]
)
def test_an_orientation_that_is_none_is_an_error(tmp_path, orientation):
    def edit(ds, _):
        ds.ImageOrientationPatient = list(orientation)

    write_ct_series(tmp_path, made_hu(2), edit=edit)
    with pytest.raises(DicomSeriesError, match="perpendicular"):
        read_series(tmp_path)

"""A tilted gantry's slices are moved onto a rectangular grid, as other programs would."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from core.dataset.masks import load_vertebra_mask
from core.dicom.gantry_tilt import shift_plane, tilt_degrees
from core.dicom.series import read_series
from core.types import CTVolume
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

STEP_MM = 2.0
PIXEL_MM = 0.5


def leaning(degrees: float) -> tuple[float, ...]:
    """Return ImageOrientationPatient of slices whose columns dip towards the feet."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (1.0, 0.0, 0.0, 0.0, round(c, 9), round(-s, 9))


def write_tilted(folder: Path, hu: np.ndarray, degrees: float, z_mm=None, field=None) -> CTVolume:
    """Write slices that lean by `degrees` on a table that moves along the patient, and read them.

    `field`, a function of LPS points (..., 3) to HU, replaces `hu` where given.
    """
    n, rows, cols = hu.shape
    orientation = np.array(leaning(degrees))
    table = np.array([-k * STEP_MM for k in range(n)] if z_mm is None else z_mm)
    firsts = np.array([[-3.0, -4.0, 50.0 + z] for z in table])
    if field is not None:
        y, x = np.mgrid[:rows, :cols] * PIXEL_MM
        plane = x[..., None] * orientation[:3] + y[..., None] * orientation[3:]
        hu = np.stack([np.rint(field(first + plane)) for first in firsts]).astype(np.int16)

    def place(ds, k):
        ds.ImagePositionPatient = [f"{v:.8g}" for v in firsts[k]]
        ds.GantryDetectorTilt = f"{degrees:.6g}"

    write_ct_series(
        folder, hu, spacing_mm=(STEP_MM, PIXEL_MM, PIXEL_MM), orientation=orientation, edit=place
    )
    return read_series(folder)


def world(volume: CTVolume) -> np.ndarray:
    """Return the LPS point of every voxel at its true z, float64 (z, y, x, 3)."""
    _, rows, cols = volume.hu.shape
    down = volume.affine[:3, 0] / np.linalg.norm(volume.affine[:3, 0])
    start = volume.affine[:3, 3] + (volume.z_mm[0] - volume.z_mm)[:, None] * down
    y, x = np.mgrid[:rows, :cols]
    plane = y[..., None] * volume.affine[:3, 1] + x[..., None] * volume.affine[:3, 2]
    return start[:, None, None] + plane


@given(
    down=st.floats(-12, 12), right=st.floats(-12, 12), seed=st.integers(0, 99),
    rows=st.integers(1, 9), cols=st.integers(1, 9),
)  # fmt: skip
def test_a_shift_is_that_of_scipy_to_the_last_unit(down, right, seed, rows, cols):
    plane = made_hu(1, rows, cols, seed=seed)[0]
    moved = shift_plane(plane, np.array([right, down]))
    peer = ndimage.shift(
        plane.astype(float), (down, right), order=1, mode="grid-constant", cval=-1024
    )
    assert moved.dtype == np.int16
    assert moved.shape == plane.shape
    np.testing.assert_allclose(moved, peer, atol=0.51)


def test_a_whole_shift_moves_right_and_down_and_fills_with_air():
    plane = np.array([[1, 2, 3], [4, 5, 6]], np.int16)
    air = -1024
    assert shift_plane(plane, np.array([1.0, 0.0])).tolist() == [[air, 1, 2], [air, 4, 5]]
    assert shift_plane(plane, np.array([0.0, -1.0])).tolist() == [[4, 5, 6], [air, air, air]]
    assert (shift_plane(plane, np.array([0.0, 99.0])) == air).all()


@pytest.mark.parametrize("degrees", [-20.0, 3.0, 14.5])
@pytest.mark.parametrize("z_mm", [None, [0.0, -2.0, -4.0, -9.0, -11.0, -12.0]])
def test_every_voxel_has_the_value_of_its_place_in_the_patient(tmp_path, degrees, z_mm):
    # Linear interpolation gives back a linear field exactly, wherever voxels come to lie.
    def field(point):
        return point @ (30.0, -50.0, 20.0)

    volume = write_tilted(tmp_path, np.zeros((6, 40, 24)), degrees, z_mm, field)
    inside = volume.hu != -1024
    assert inside.mean() > 0.6
    edges = ndimage.binary_erosion(inside, structure=np.ones((1, 3, 3)))
    np.testing.assert_allclose(volume.hu[edges], field(world(volume))[edges], atol=1.1)


def test_the_grid_becomes_rectangular_and_the_note_tells_the_degrees(tmp_path):
    volume = write_tilted(tmp_path, made_hu(5, 12, 10), 14.0)
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert volume.spacing_mm == pytest.approx(
        (STEP_MM * np.cos(np.radians(14)), PIXEL_MM, PIXEL_MM), rel=1e-6
    )
    assert any("tilted by 14.0°" in note and "1.0 mm" in note for note in volume.notes)
    np.testing.assert_allclose(np.diff(volume.z_mm), -volume.spacing_mm[0], rtol=1e-6)


def test_agrees_with_a_resampling_by_simpleitk(tmp_path):
    smooth = ndimage.gaussian_filter(made_hu(7, 40, 30).astype(float), (0, 2, 2)) * 4
    hu = np.clip(smooth, -1000, 3000).astype(np.int16)
    volume = write_tilted(tmp_path, hu, 10.0)
    # In index space the lean is a shear: y of slice k starts k * lean pixels later.
    lean = STEP_MM * np.sin(np.radians(10.0)) / PIXEL_MM
    image = SimpleITK.GetImageFromArray(hu.astype(np.float64))
    shear = SimpleITK.AffineTransform(3)
    shear.SetMatrix((1, 0, 0, 0, 1, -lean, 0, 0, 1))
    shear.SetTranslation((0, lean * (len(hu) - 1) / 2, 0))
    peer = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(image, image, shear, SimpleITK.sitkLinear, -1024.0)
    )
    # At the border ITK repeats the last pixel for half a pixel, where this blends with air.
    inner = ndimage.binary_erosion(
        (peer != -1024) & (volume.hu != -1024), structure=np.ones((1, 3, 1))
    )
    assert inner.mean() > 0.8
    np.testing.assert_allclose(volume.hu[inner], peer[inner], atol=0.51)
    assert np.abs(volume.hu - hu)[inner].max() > 20


def test_a_mask_lands_on_the_bone_that_it_outlines(tmp_path):
    centre, radius = np.array([3.0, 5.0, 44.0]), 2.5

    def bone(point):
        return np.where(np.linalg.norm(point - centre, axis=-1) < radius, 1500.0, 0.0)

    volume = write_tilted(tmp_path / "s", np.zeros((9, 60, 30)), 15.0, field=bone)
    grid = np.stack(np.meshgrid(*(np.arange(-9, 12, 0.25),) * 3, indexing="ij"), axis=-1)
    stored = (np.linalg.norm(grid - (centre - (0, 0, 40.0)), axis=-1) < radius).astype(np.uint8)
    affine = np.diag([-0.25, -0.25, 0.25, 1.0])
    affine[:3, 3] = 9, 9, 31
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume) > 0
    seen = volume.hu > 750
    assert seen.sum() > 100
    assert 2 * (mask & seen).sum() / (mask.sum() + seen.sum()) > 0.9


def test_a_box_of_the_file_plus_the_shift_is_the_box_of_the_volume(tmp_path):
    hu = np.zeros((9, 40, 20), np.int16)
    hu[:, 18:23, 8:11] = 1500
    volume = write_tilted(tmp_path, hu, 12.0)
    assert volume.shift_px is not None
    for plane, (right, down) in zip(volume.hu, volume.shift_px, strict=True):
        y, x = ndimage.center_of_mass(np.maximum(plane, 0))
        assert (x, y) == pytest.approx((9 + right, 20 + down), abs=0.05)
    assert np.abs(volume.shift_px).max() > 2


def test_less_than_half_a_degree_is_left_as_scanned(tmp_path):
    hu = made_hu(5)
    volume = write_tilted(tmp_path, hu, 0.4)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.shift_px is None
    assert volume.notes == ()


def test_a_stated_tilt_without_a_leaning_stack_is_only_noted(tmp_path):
    hu = made_hu(4)
    write_ct_series(tmp_path, hu, edit=lambda ds, _: setattr(ds, "GantryDetectorTilt", "9"))
    volume = read_series(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert any("9.0°" in note and "straightened already" in note for note in volume.notes)


def test_a_single_slice_has_no_tilt():
    assert tilt_degrees(np.zeros((1, 3)), np.array([0, 0, 1.0])) == 0

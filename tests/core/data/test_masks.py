"""Masks stored in any orientation land on the volume's grid."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.data import masks
from core.data.dicom_series import read_series
from core.data.masks import load_vertebra_mask, presence_from_mask
from core.errors import DataRootError
from core.types import CTVolume
from tests.core.data.dicom_factory import made_hu, write_ct_series

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_at(folder: Path, **options) -> CTVolume:
    write_ct_series(folder, made_hu(6, 5, 4), **options)
    return read_series(folder)


def labels_for(volume: CTVolume) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 20, volume.hu.shape, dtype=np.uint8)


def store(path: Path, labels: np.ndarray, volume: CTVolume, order, flips, dtype=np.uint8) -> Path:
    """Save `labels` (z, y, x) with its axes permuted and flipped, and the affine that says so."""
    index = np.zeros((4, 4))
    index[3, 3] = 1
    stored = labels.transpose(order)
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        index[source, axis] = -1 if flip else 1
        index[source, 3] = labels.shape[source] - 1 if flip else 0
        stored = np.flip(stored, axis) if flip else stored
    image = nib.Nifti1Image(stored.astype(dtype), TO_RAS @ volume.affine @ index)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_every_axis_order_and_flip_is_undone_exactly(tmp_path, monkeypatch, order, flips):
    monkeypatch.setattr(masks, "_pick_nearest", lambda *_: pytest.fail("was not exact"))
    volume = volume_at(tmp_path / "series")
    labels = labels_for(volume)
    path = store(tmp_path / "mask.nii", labels, volume, order, flips)
    mask = load_vertebra_mask(path, volume)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, labels)


def test_a_sagittal_mask_written_by_hand_is_placed_by_its_ras_affine(tmp_path):
    # 1 mm voxels; the volume's first pixel is at LPS (0, 0, 0), RAS (0, 0, 0).
    write_ct_series(
        tmp_path / "s", made_hu(3, 4, 5), spacing_mm=(1, 1, 1), z_first_mm=0, origin_xy_mm=(0, 0)
    )
    volume = read_series(tmp_path / "s")
    # i runs to the back, j to the feet, k to the right: the order of a sagittal scan.
    affine = np.array([[0, 0, 1, -4], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], float)
    stored = np.zeros((4, 3, 5), np.uint8)
    stored[3, 2, 0] = 7
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "m.nii.gz")
    mask = load_vertebra_mask(tmp_path / "m.nii.gz", volume)
    # LPS of that voxel: x = 4, y = 3, z = -2.
    assert np.argwhere(mask).tolist() == [[2, 3, 4]]
    assert mask[2, 3, 4] == 7


@pytest.mark.parametrize("ascending", [False, True])
def test_axial_masks_in_either_direction(tmp_path, ascending):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (2, 1, 0), (True, False, ascending))
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


def test_an_oblique_volume_with_a_mask_on_its_grid_is_exact(tmp_path):
    c, s = np.cos(0.4), np.sin(0.4)
    volume = volume_at(tmp_path / "s", orientation=(1, 0, 0, 0, c, -s))
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (1, 2, 0), (True, False, True))
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)


def test_a_mask_oblique_to_the_volume_is_sampled_at_the_nearest_voxel(tmp_path):
    volume = volume_at(tmp_path / "s", spacing_mm=(1.0, 1.0, 1.0))
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0, 40.0], [s, c, 0, 20.0], [0, 0, 1, 90.0], [0, 0, 0, 1]])
    stored = np.random.default_rng(2).integers(0, 20, (30, 40, 20), dtype=np.uint8)
    nib.save(nib.Nifti1Image(stored, turn), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    affine = nib.load(tmp_path / "m.nii").affine
    hit = 0
    for z, y, x in np.ndindex(volume.hu.shape):
        ras = TO_RAS @ volume.affine @ (z, y, x, 1)
        i, j, k = np.rint(np.linalg.solve(affine, ras)[:3]).astype(int)
        inside = 0 <= i < 30 and 0 <= j < 40 and 0 <= k < 20
        assert mask[z, y, x] == (stored[i, j, k] if inside else 0)
        hit += inside
    assert hit > 50


def test_uneven_slices_take_the_mask_at_their_own_position(tmp_path):
    z_mm = [20.0, 18.0, 16.0, 10.0, 8.0, 6.0]
    volume = volume_at(tmp_path / "s", z_mm=z_mm, spacing_mm=(2.0, 0.5, 0.75))
    # One mask slice every 2 mm from 20 down to 6; its label tells its position.
    stored = np.zeros((4, 5, 8), np.uint8) + np.arange(1, 9, dtype=np.uint8)
    affine = np.array([[0.75, 0, 0, -50], [0, 0.5, 0, -40], [0, 0, -2, 20], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(stored, TO_RAS @ affine), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    assert mask[:, 2, 2].tolist() == [1, 2, 3, 6, 7, 8]


def test_a_mask_that_covers_part_of_the_volume_leaves_the_rest_empty(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = np.full((2, 5, 4), 3, np.uint8)
    part = volume.affine.copy()
    part[:3, 3] = (volume.affine @ (2, 0, 0, 1))[:3]
    nib.save(nib.Nifti1Image(labels, TO_RAS @ part), tmp_path / "m.nii")
    mask = load_vertebra_mask(tmp_path / "m.nii", volume)
    assert [bool(plane.any()) for plane in mask] == [False, False, True, True, False, False]


def test_float_masks_with_whole_numbers_are_fine_and_others_are_not(tmp_path):
    volume = volume_at(tmp_path / "s")
    labels = labels_for(volume)
    path = store(tmp_path / "m.nii", labels, volume, (0, 1, 2), (0, 0, 0), dtype=np.float32)
    np.testing.assert_array_equal(load_vertebra_mask(path, volume), labels)
    path = store(tmp_path / "m.nii", labels + 0.5, volume, (0, 1, 2), (0, 0, 0), np.float32)
    with pytest.raises(DataRootError, match=r"whole numbers|labels must be"):
        load_vertebra_mask(path, volume)


@pytest.mark.parametrize("label", [20, -1, np.nan])
def test_other_labels_are_refused(tmp_path, label):
    volume = volume_at(tmp_path / "s")
    labels = np.full(volume.hu.shape, label, np.float32)
    path = store(tmp_path / "m.nii", labels, volume, (0, 1, 2), (0, 0, 0), np.float32)
    with pytest.raises(DataRootError, match=r"labels must be 0\.\.19"):
        load_vertebra_mask(path, volume)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path):
    volume = volume_at(tmp_path / "s")
    affine = TO_RAS @ volume.affine
    affine[0, 3] += 1000
    nib.save(nib.Nifti1Image(labels_for(volume), affine), tmp_path / "m.nii")
    with pytest.raises(DataRootError, match="outside the CT volume"):
        load_vertebra_mask(tmp_path / "m.nii", volume)


@pytest.mark.parametrize("content", [None, b"", b"not nifti" * 100])
def test_a_missing_or_broken_file_is_a_typed_error(tmp_path, content):
    volume = volume_at(tmp_path / "s")
    path = tmp_path / "m.nii"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataRootError, match=r"m\.nii"):
        load_vertebra_mask(path, volume)


def test_a_truncated_mask_is_a_typed_error(tmp_path):
    volume = volume_at(tmp_path / "s")
    for name in ("m.nii", "m.nii.gz"):
        path = store(tmp_path / name, labels_for(volume), volume, (0, 1, 2), (0, 0, 0))
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataRootError):
            load_vertebra_mask(path, volume)


def test_presence_counts_c1_to_c7_only():
    mask = np.zeros((4, 3, 3), np.uint8)
    mask[0, 0, 0] = 1
    mask[1, 1, 1], mask[1, 2, 2] = 7, 3
    mask[2] = 8
    presence = presence_from_mask(mask)
    assert presence.shape == (4, 7)
    assert np.argwhere(presence).tolist() == [[0, 0], [1, 2], [1, 6]]

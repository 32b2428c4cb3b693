"""What is written as a mask is read back in place, however the series is stored."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from core.dataset.mask_writer import write_mask_file
from core.dataset.masks import load_vertebra_mask
from core.dicom.series import read_series
from core.errors import ConfigError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


def series(folder, **options):
    write_ct_series(folder, made_hu(7, 6, 5), **options)
    return read_series(folder)


def labels_on(volume):
    return np.random.default_rng(3).integers(0, 9, volume.hu.shape, dtype=np.uint8)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz"])
@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.0), (0.8, 0.5, 0.7)])
def test_a_mask_is_read_back_voxel_by_voxel(tmp_path, name, spacing):
    volume = series(tmp_path / "series", spacing_mm=spacing)
    labels = labels_on(volume)
    write_mask_file(tmp_path / name, labels, volume)
    np.testing.assert_array_equal(
        load_vertebra_mask(tmp_path / name, volume, on_bone=False), labels
    )


def test_a_mask_lies_in_the_patient_where_the_slices_lie(tmp_path):
    volume = series(tmp_path / "series", spacing_mm=(2.0, 1.0, 1.5))
    labels = np.zeros(volume.hu.shape, np.uint8)
    labels[5, 4, 1] = 6
    write_mask_file(tmp_path / "mask.nii", labels, volume)
    image = nib.load(tmp_path / "mask.nii")
    (voxel,) = np.argwhere(np.asarray(image.dataobj) == 6)
    lps = (volume.affine @ [5, 4, 1, 1])[:3]
    np.testing.assert_allclose((image.affine @ [*voxel, 1])[:3], lps * [-1, -1, 1], atol=1e-4)
    assert nib.aff2axcodes(image.affine)[:2] == ("A", "S")


def test_another_suffix_is_refused_in_a_sentence(tmp_path):
    volume = series(tmp_path / "series")
    with pytest.raises(ConfigError, match=r"end it in \.nii\.gz or \.nii\.$"):
        write_mask_file(tmp_path / "mask.png", labels_on(volume), volume)


def test_labels_of_another_shape_are_refused(tmp_path):
    volume = series(tmp_path / "series")
    with pytest.raises(ValueError, match="do not lie"):
        write_mask_file(tmp_path / "mask.nii", np.zeros((1, 2, 3), np.uint8), volume)

"""A real scanner series: 65 slices with a malformed private element."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from core.dicom.series import read_series


def test_the_real_series_is_read_in_order_with_its_geometry(real_ct: Path):
    volume = read_series(real_ct)
    assert volume.hu.shape == (65, 512, 512)
    assert volume.spacing_mm == (3.0, 1.328125, 1.328125)
    assert volume.z_mm[0] == 462.000061
    np.testing.assert_allclose(np.diff(volume.z_mm), -3, atol=1e-3)
    assert volume.hu.min() == -1024
    assert volume.hu.max() > 1000
    assert volume.notes == ()


@pytest.mark.slow
def test_the_real_series_agrees_with_pydicom_and_simpleitk(real_ct: Path):
    volume = read_series(real_ct)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_ct)))
    peer = SimpleITK.GetArrayFromImage(reader.Execute())
    np.testing.assert_array_equal(volume.hu, peer[::-1])
    first = pydicom.dcmread(volume.source_files[0])
    np.testing.assert_array_equal(volume.hu[0], first.pixel_array.astype(int) - 1024)
    assert int(first.InstanceNumber) == volume.instance_numbers[0]

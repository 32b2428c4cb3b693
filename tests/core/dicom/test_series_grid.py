from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import generate_uid

from core.dicom import series as module
from core.dicom.series import read_series
from core.dicom.series_grid import series_grid
from core.errors import DicomSeriesError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


def assert_same_grid(folder):
    grid, volume = series_grid(folder), read_series(folder, jobs=1)
    assert grid.hu.shape == volume.hu.shape
    assert grid.hu.dtype == volume.hu.dtype
    assert np.array_equal(grid.affine, volume.affine)
    assert np.array_equal(grid.z_mm, volume.z_mm)
    assert grid.spacing_mm == volume.spacing_mm
    assert grid.instance_numbers == volume.instance_numbers
    assert grid.source_files == volume.source_files
    assert (grid.study_uid, grid.series_uid) == (volume.study_uid, volume.series_uid)


@pytest.mark.parametrize("syntax", ["explicit", "jpeg-lossless"])
def test_the_grid_is_that_of_the_series_but_no_pixel_is_decoded(tmp_path, monkeypatch, syntax):
    write_ct_series(tmp_path, made_hu(6), syntax=syntax)
    assert_same_grid(tmp_path)

    def decode(*_args, **_kwargs):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(module, "read_slice", decode)
    assert series_grid(tmp_path).n_slices == 6


def test_repeated_and_uneven_positions_are_placed_alike(tmp_path):
    write_ct_series(tmp_path, made_hu(6), z_mm=[50, 48, 48, 45, 43, 40])
    assert_same_grid(tmp_path)


def test_a_second_series_is_left_to_the_reader(tmp_path):
    write_ct_series(tmp_path, made_hu(6))
    write_ct_series(
        tmp_path, made_hu(3), series_uid=generate_uid(), names=["a.dcm", "b.dcm", "c.dcm"]
    )
    assert_same_grid(tmp_path)
    assert series_grid(tmp_path).n_slices == 6


def test_a_stray_file_is_left_to_the_reader(tmp_path):
    write_ct_series(tmp_path, made_hu(3))
    (tmp_path / "readme.txt").write_text("not DICOM")
    (tmp_path / "inner").mkdir()
    assert_same_grid(tmp_path)


def test_an_absent_or_empty_folder_is_refused_as_always(tmp_path):
    with pytest.raises(DicomSeriesError, match="no such folder"):
        series_grid(tmp_path / "absent")
    with pytest.raises(DicomSeriesError):
        series_grid(tmp_path)

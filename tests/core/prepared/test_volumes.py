from dataclasses import fields

import numpy as np
import pytest

from core.dicom.series import read_series
from core.errors import DataRootError
from core.prepared import volumes
from core.prepared.volumes import load_viewer_volume
from core.types import CTVolume, StudyRecord
from tests.core.dicom.dicom_factory import write_ct_series
from tests.stores import made_store


@pytest.fixture
def record(tmp_path):
    hu = np.random.default_rng(0).integers(-1000, 2000, (5, 12, 14)).astype(np.int16)
    write_ct_series(tmp_path / "1.2.3", hu, z_mm=[9.0, 7.0, 5.0, 4.0, 1.0], study_uid="1.2.3")
    return StudyRecord("1.2.3", tmp_path / "1.2.3")


@pytest.fixture
def tilted(tmp_path):
    def sheared(ds, k):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y + 0.7 * k, z]

    hu = np.random.default_rng(1).integers(-1000, 2000, (5, 12, 14)).astype(np.int16)
    write_ct_series(tmp_path / "4.5", hu, study_uid="4.5", edit=sheared)
    return StudyRecord("4.5", tmp_path / "4.5")


@pytest.mark.parametrize("which", ["record", "tilted"])
def test_volume_is_that_of_the_series_in_every_field(which, request, tmp_path):
    record = request.getfixturevalue(which)
    expected = read_series(record.folder, jobs=1)
    load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    for found_or_built in (tmp_path / "cache", tmp_path / "other"):
        volume = load_viewer_volume(record, store=made_store(found_or_built))
        for name in (field.name for field in fields(CTVolume)):
            np.testing.assert_array_equal(getattr(volume, name), getattr(expected, name), name)
    assert expected.notes
    assert (expected.shift_px is None) == (which == "record")


def test_second_load_reads_no_dicom_and_maps_the_voxels(record, tmp_path, monkeypatch):
    load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    monkeypatch.setattr(volumes, "read_series", None)
    volume = load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    assert isinstance(volume.hu, np.memmap)
    assert not volume.hu.flags.writeable
    assert volume.n_slices == 5


def test_files_that_got_other_names_are_named_anew(record, tmp_path):
    load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    (record.folder / "1.dcm").rename(record.folder / "swap")
    (record.folder / "5.dcm").rename(record.folder / "1.dcm")
    (record.folder / "swap").rename(record.folder / "5.dcm")
    volume = load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    assert [path.name for path in volume.source_files] == [f"{k}.dcm" for k in (5, 2, 3, 4, 1)]


def test_volume_of_a_moved_study_points_to_its_new_place(record, tmp_path):
    load_viewer_volume(record, store=made_store(tmp_path / "cache"))
    moved = StudyRecord("1.2.3", record.folder.rename(tmp_path / "elsewhere"))
    volume = load_viewer_volume(moved, store=made_store(tmp_path / "cache"))
    assert all(path.is_file() for path in volume.source_files)


def test_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataRootError, match="gone"):
        load_viewer_volume(
            StudyRecord("1", tmp_path / "gone"), store=made_store(tmp_path / "cache")
        )

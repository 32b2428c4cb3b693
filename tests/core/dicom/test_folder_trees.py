"""Archives and folder trees: slices are counted by series, whatever folder they lie in."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from core.cache.keys import fingerprint_folder, folder_state, named_folder_digest
from core.dicom.series import read_series
from core.dicom.zip_archive import extract_dicom_archive
from core.prepared.volumes import load_viewer_volume
from core.types import Store, StudyRecord
from tests.core.dicom.edited_slices import hu_of, neighbours, save, twin


@pytest.fixture
def slices(tmp_path):
    return neighbours(tmp_path / "source")


def split_over_two(slices, folder):
    save(slices[::2], folder / "A")
    save(slices[1::2], folder / "B")


def folder_per_image(slices, folder):
    for k, ds in enumerate(slices):
        save([ds], folder / f"IMG{k}", name="I10")


def disc_with_viewer(slices, folder):
    save(slices, folder / "DICOM" / "PAT0" / "STU0" / "SER0", name="I{}")
    for k in range(40):
        (folder / "VIEWER" / "lib").mkdir(parents=True, exist_ok=True)
        (folder / "VIEWER" / "lib" / f"{k}.dll").write_bytes(b"MZ" + bytes([k]) * 300)
    (folder / "AUTORUN.INF").write_text("[autorun]")
    (folder / "README.TXT").write_text("Put the disc into the drive.")


def several_series(slices, folder):
    save(slices, folder / "S2")
    small = twin(slices[:3], lambda ds: setattr(ds, "SeriesInstanceUID", "1.2.3.5"))
    for k in range(3):
        save(small[k : k + 1], folder / "S1" / str(k))


TREES = [split_over_two, folder_per_image, disc_with_viewer, several_series]


@pytest.mark.parametrize("make", TREES)
def test_a_tree_gives_the_whole_series(tmp_path, slices, make):
    make(slices, tmp_path / "tree")
    volume = read_series(tmp_path / "tree")
    np.testing.assert_array_equal(volume.hu, hu_of(slices))


@pytest.mark.parametrize("make", TREES)
def test_an_archive_gives_the_whole_series(tmp_path, slices, make):
    make(slices, tmp_path / "tree")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in (tmp_path / "tree").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "tree"))
    folder = extract_dicom_archive(stream, tmp_path / "target", max_bytes=1 << 22)
    np.testing.assert_array_equal(read_series(folder).hu, hu_of(slices))


def test_what_else_is_there_is_said(tmp_path, slices):
    disc_with_viewer(slices, tmp_path / "disc")
    several_series(slices, tmp_path / "disc" / "more")
    notes = read_series(tmp_path / "disc").notes
    assert notes[0] == "42 files are not DICOM and were left out."
    assert "left out: 3 slices of another series" in notes[1]


def test_a_dicomdir_is_no_damaged_file(tmp_path, slices):
    from pydicom.dataset import Dataset
    from pydicom.uid import MediaStorageDirectoryStorage

    folder_per_image(slices, tmp_path / "disc")
    ds = Dataset()
    ds.file_meta = slices[0].file_meta
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    ds.FileSetID, ds.DirectoryRecordSequence = "DISC", [Dataset()]
    ds.save_as(tmp_path / "disc" / "DICOMDIR", enforce_file_format=True)
    assert read_series(tmp_path / "disc").notes == ("1 file is not CT and was left out.",)


def test_the_store_keeps_files_of_sub_folders_apart(tmp_path, slices):
    folder = tmp_path / "tree"
    split_over_two(slices, folder)
    store = Store(tmp_path / "store", 1 << 30, 0)
    record = StudyRecord("tree", folder)
    for _ in range(2):
        volume = load_viewer_volume(record, store=store)
        np.testing.assert_array_equal(volume.hu, hu_of(slices))
        assert [path.parent.name for path in volume.source_files] == ["A", "B"] * 4
    before = named_folder_digest(folder), fingerprint_folder(folder), folder_state(folder)
    (folder / "B" / "1.dcm").rename(folder / "B" / "9.dcm")
    after = named_folder_digest(folder), fingerprint_folder(folder), folder_state(folder)
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, False]
    content = (folder / "B" / "9.dcm").read_bytes()
    (folder / "B" / "9.dcm").write_bytes(content[:-2] + b"\1\1")
    assert fingerprint_folder(folder) != before[1]

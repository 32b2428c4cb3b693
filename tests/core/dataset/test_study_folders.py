"""A study is its StudyInstanceUID, whatever its folders are named and however many it has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.dataset.rsna import lines_file, read_data_set, record_of
from core.dataset.study_folders import group_folders, study_uid
from core.dataset.study_search import studies_at
from core.dicom.series import read_series
from core.errors import DataRootError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

HEAD = "StudyInstanceUID,C1,C2,C3,C4,C5,C6,C7\n"


def series(folder: Path, study: str, slices: int = 3, **options) -> Path:
    hu = np.zeros((slices, 4, 4), np.int16)
    name = "/".join(folder.parts[-2:])
    write_ct_series(folder, hu, study_uid=study, series_uid=f"9.{len(name)}.{slices}", **options)
    return folder


def no_uid(ds, _):
    ds.StudyInstanceUID = ""


def found(path: Path) -> dict[str, str]:
    """Folder below `path` by study id."""
    return {
        record.study_id: record.folder.relative_to(path).as_posix()
        for record in studies_at(path).records
    }


def test_two_folders_of_one_study_are_one_study_with_its_best_series(tmp_path):
    for name, slices in (("thin", 5), ("thick", 3), ("scout", 1)):
        series(tmp_path / name, "1.2", slices)
    studies = studies_at(tmp_path)
    assert studies.single
    ((record),) = studies.records
    assert record.study_id == "1.2"


def test_a_folder_of_studies_is_sorted_by_uid_at_any_depth(tmp_path):
    series(tmp_path / "b" / "PAT1" / "x" / "SER1", "1.3")
    series(tmp_path / "a" / "1.3", "1.2")
    series(tmp_path / "c", "1.4", edit=no_uid)
    assert found(tmp_path).keys() == {"1.2", "1.3", "c"}
    assert found(tmp_path)["1.2"] == "a/1.3"
    assert not studies_at(tmp_path).single


def test_folders_of_other_files_are_no_studies_unless_nothing_else_is_there(tmp_path):
    series(tmp_path / "study", "1.2")
    (tmp_path / "VIEWER").mkdir()
    (tmp_path / "VIEWER" / "run.exe").write_bytes(b"MZ" * 400)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "1.dcm").write_bytes(b"junk")
    assert found(tmp_path) == {"1.2": "study"}
    assert studies_at(tmp_path).single
    shutil.rmtree(tmp_path / "study")
    assert found(tmp_path).keys() == {"VIEWER"}


def test_a_damaged_dicom_file_is_a_study_that_is_missed(tmp_path):
    series(tmp_path / "study", "1.2")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.dcm").write_bytes(b"junk")
    assert found(tmp_path) == {"1.2": "study", "broken": "broken"}


def test_links_are_followed_once(tmp_path):
    series(tmp_path / "in" / "a", "1.2")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in" / "a")
    assert len(studies_at(tmp_path / "in").records) == 1


@pytest.mark.parametrize("made", ["nothing", "file", "empty"])
def test_a_path_without_studies_is_one_sentence(tmp_path, made):
    path = tmp_path / "path"
    if made == "file":
        path.write_text("hello")
    elif made == "empty":
        (path / "inner").mkdir(parents=True)
    with pytest.raises(DataRootError, match=r"is not a folder|holds no files"):
        studies_at(path)


def test_the_uid_is_that_of_the_first_file_that_states_one(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "0.txt").write_text("hello")
    (tmp_path / "s" / "0.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    assert study_uid(tmp_path / "s") == ""
    series(tmp_path / "s", "1.2")
    assert study_uid(tmp_path / "s") == "1.2"


@pytest.mark.parametrize("uid", ["../../etc", "1.2/3", "<b>", "1" * 65])
def test_what_is_no_uid_names_no_study(tmp_path, uid):
    series(tmp_path / "s", "1.2", edit=lambda ds, _: setattr(ds, "StudyInstanceUID", uid))
    (study,) = group_folders([tmp_path / "s"])
    assert study.study_id == "s"


def data_root(tmp_path: Path) -> Path:
    images = tmp_path / "train_images"
    series(images / "patient A", "1.2")
    series(images / "1.2", "1.3")
    series(images / "c", "1.4", edit=no_uid)
    return tmp_path


@pytest.mark.parametrize("names", [("1.2", "1.3", "c"), ("patient A", "1.3", "C "), ])  # fmt: skip
def test_tables_and_masks_name_studies_by_uid_or_by_folder(tmp_path, names):
    root = data_root(tmp_path)
    rows = [f"{name},{k % 2},0,0,0,0,0,0\n" for k, name in enumerate(names)]
    (root / "train.csv").write_text(HEAD + "".join(rows))
    (root / "train_bounding_boxes.csv").write_text(
        f"StudyInstanceUID,x,y,width,height,slice_number\n{names[1]},0,0,2,2,1\n"
    )
    (root / "segmentations").mkdir()
    (root / "segmentations" / f"{names[0]}.nii").touch()
    data_set = read_data_set(root)
    assert data_set.problems == []
    by_id = {record.study_id: record for record in data_set.studies}
    assert [*by_id] == ["1.2", "1.3", "c"]
    assert by_id["1.2"].folder.name == "patient A"
    assert [record.patient_fractured for record in by_id.values()] == [False, True, False]
    assert [len(record.boxes) for record in by_id.values()] == [0, 1, 0]
    assert by_id["1.2"].mask_file is not None


def test_an_id_is_a_uid_before_it_is_the_name_of_a_folder(tmp_path):
    root = data_root(tmp_path)
    (root / "train.csv").write_text(HEAD + "1.2,1,0,0,0,0,0,0\n")
    fractured = {r.study_id: r.patient_fractured for r in read_data_set(root).studies}
    assert fractured == {"1.2": True, "1.3": None, "c": None}


def test_patients_who_share_a_uid_stay_apart_if_tables_name_their_folders(tmp_path):
    for name in ("a", "b"):
        series(tmp_path / "train_images" / name, "1.2")
    (tmp_path / "train.csv").write_text(HEAD + "a,1,0,0,0,0,0,0\nb,0,0,0,0,0,0,0\n")
    data_set = read_data_set(tmp_path)
    assert {r.study_id: r.patient_fractured for r in data_set.studies} == {"a": True, "b": False}
    (tmp_path / "train.csv").write_text(HEAD + "1.2,1,0,0,0,0,0,0\n")
    assert [r.study_id for r in read_data_set(tmp_path).studies] == ["1.2"]


def test_the_entry_of_a_folder_is_found_by_the_folder(tmp_path):
    root = data_root(tmp_path)
    (root / "train.csv").write_text(HEAD + "1.2,1,0,0,0,0,0,0\n")
    record, synthetic = record_of(root / "train_images" / "patient A")
    assert record is not None
    assert (record.study_id, record.patient_fractured, synthetic) == ("1.2", True, False)
    assert record_of(tmp_path) == (None, False)
    (root / "fracture_masks").mkdir()
    (root / "fracture_masks" / "1.2.nii.gz").touch()
    assert lines_file(record) == root / "fracture_masks" / "1.2.nii.gz"


def test_a_series_over_many_folders_is_read_from_the_folder_around_them(tmp_path):
    hu = made_hu(6)
    for k, path in enumerate(write_ct_series(tmp_path / "flat", hu, study_uid="1.2.3")):
        (tmp_path / "disc" / str(k)).mkdir(parents=True)
        path.rename(tmp_path / "disc" / str(k) / "I1")
    found = studies_at(tmp_path / "disc")
    assert (found.single, found.notes) == (True, ())
    assert [record.folder for record in found.records] == [tmp_path / "disc"]
    assert (read_series(found.records[0].folder).hu == hu).all()


def test_the_folder_around_them_is_not_taken_where_it_holds_another_study(tmp_path):
    write_ct_series(tmp_path / "a", made_hu(4), study_uid="1.2.3", series_uid="1.2.3.1")
    write_ct_series(tmp_path / "b", made_hu(3), study_uid="1.2.3", series_uid="1.2.3.2")
    write_ct_series(tmp_path / "c", made_hu(5), study_uid="1.2.4")
    found = studies_at(tmp_path)
    assert [record.folder.name for record in found.records] == ["a", "c"]
    assert "is in 2 folders" in found.notes[0]

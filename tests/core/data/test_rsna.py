"""RSNA's layout: studies, labels, boxes, masks, and errors that name file and line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from core.data.rsna import is_synthetic, read_studies
from core.errors import DataRootError

HEAD = "StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7\n"
BOX_HEAD = "StudyInstanceUID,x,y,width,height,slice_number\n"


def data_root(folder: Path, studies=("1.2", "1.1"), labels=None, boxes=None) -> Path:
    for study in studies:
        (folder / "train_images" / study).mkdir(parents=True)
    if labels is not None:
        (folder / "train.csv").write_text(labels)
    if boxes is not None:
        (folder / "train_bounding_boxes.csv").write_text(boxes)
    return folder


def test_studies_come_sorted_with_labels_boxes_and_masks(tmp_path):
    root = data_root(
        tmp_path,
        labels=HEAD + "1.2,1,0,1,0,0,0,0,1\n1.1,0,0,0,0,0,0,0,0\n",
        boxes=BOX_HEAD + "1.2,10,20,5,6,33\n1.2,1.5,2,3,4,34\n",
    )
    (root / "segmentations").mkdir()
    (root / "segmentations" / "1.1.nii.gz").touch()
    (root / "segmentations" / "1.2.nii.gz").touch()
    (root / "segmentations" / "1.2.nii").touch()
    first, second = read_studies(root)
    assert (first.study_id, second.study_id) == ("1.1", "1.2")
    assert first.folder == root / "train_images" / "1.1"
    assert first.patient_fractured is False
    assert first.boxes == ()
    assert first.mask_file == root / "segmentations" / "1.1.nii.gz"
    assert second.fractured == (False, True, False, False, False, False, True)
    assert second.boxes == ((33, (10, 20, 15, 26)), (34, (1.5, 2, 4.5, 6)))
    assert second.mask_file == root / "segmentations" / "1.2.nii"


def test_without_train_csv_every_study_is_unlabelled(tmp_path):
    records = read_studies(data_root(tmp_path))
    assert [record.fractured for record in records] == [None, None]
    assert records[0].patient_fractured is None


def test_a_study_without_a_row_is_unlabelled(tmp_path):
    records = read_studies(data_root(tmp_path, labels=HEAD + "1.2,0,0,0,0,0,0,0,0\n"))
    assert [record.fractured is None for record in records] == [True, False]


def test_rows_without_a_folder_are_counted_in_a_warning(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    rows = "".join(f"{study},0,0,0,0,0,0,0,0\n" for study in ("1.1", "8.8", "9.9"))
    assert len(read_studies(data_root(tmp_path, labels=HEAD + rows))) == 2
    assert "train.csv names 2 studies without a folder" in caplog.text


def test_a_byte_order_mark_and_more_columns_in_another_order_are_fine(tmp_path):
    text = "\ufeffC1,C2,C3,C4,C5,C6,C7,note,StudyInstanceUID,patient_overall\n"
    records = read_studies(data_root(tmp_path, labels=text + "1,0,0,0,0,0,0,hello,1.1,1\n"))
    assert records[0].fractured == (True, False, False, False, False, False, False)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("StudyInstanceUID,C1,C2,C3,C4,C5,C6\n", r"line 1: no column patient_overall, C7"),
        ("", "line 1: no column"),
        (HEAD + "1.1,0,0,0,0,0,0,0,0\n1.2,1,2,0,0,0,0,0,0\n", "line 3: C1 must be 0 or 1"),
        (HEAD + "1.1,0,0,0,0,0,0,0\n", "line 2: it has too few values"),
        (HEAD + "1.1,0,1,0,0,0,0,0,0\n", "line 2: patient_overall is not the largest"),
        (HEAD + "1.1,0,0,0,0,0,0,0,0\n" * 2, "line 3: the study stands in an earlier line"),
        (HEAD + "1.1,,0,0,0,0,0,0,0\n", "line 2: patient_overall must be 0 or 1"),
    ],
)
def test_a_wrong_label_table_names_file_line_and_mend(tmp_path, labels, message):
    with pytest.raises(DataRootError, match=rf"train\.csv, {message}"):
        read_studies(data_root(tmp_path, labels=labels))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.1,a,2,3,4,5", "x is not a number"),
        ("1.1,1,nan,3,4,5", "y is not a number"),
        ("1.1,1,2,0,4,5", "width and height"),
        ("1.1,1,2,3,4,5.5", "slice_number must be a whole number"),
        ("1.1,1,2,3", "too few values"),
    ],
)
def test_a_wrong_box_names_its_line(tmp_path, row, message):
    with pytest.raises(DataRootError, match=f"line 2: .*{message}"):
        read_studies(data_root(tmp_path, boxes=f"{BOX_HEAD}{row}\n"))


def test_a_table_that_is_no_text_is_a_typed_error(tmp_path):
    root = data_root(tmp_path)
    (root / "train.csv").write_bytes(b"\xff\xfe\x00\x81" * 10)
    with pytest.raises(DataRootError, match="cannot be read as a CSV"):
        read_studies(root)


def test_a_root_that_is_none_says_what_is_missing(tmp_path):
    with pytest.raises(DataRootError, match="no folder"):
        read_studies(tmp_path / "nowhere")
    with pytest.raises(DataRootError, match="train_images"):
        read_studies(tmp_path)
    (tmp_path / "train_images").mkdir()
    with pytest.raises(DataRootError, match="holds no study folders"):
        read_studies(tmp_path)


def test_only_a_root_with_the_generators_file_is_synthetic(tmp_path):
    assert not is_synthetic(tmp_path)
    (tmp_path / "phantom.json").write_text("{}")
    assert is_synthetic(tmp_path)

"""RSNA's layout: studies, labels, boxes, masks, and errors that name file and line."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.rsna import is_synthetic, lines_file, read_data_set, read_studies
from core.errors import DataRootError
from core.types import StudyRecord

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


def test_files_of_study_10_are_not_those_of_study_1(tmp_path):
    root = data_root(
        tmp_path, studies=("1", "10"),
        labels=HEAD + "10,1,0,1,0,0,0,0,1\n", boxes=BOX_HEAD + "10,10,20,5,6,33\n",
    )  # fmt: skip
    for folder in ("segmentations", "fracture_masks"):
        (root / folder).mkdir()
        (root / folder / "10.nii.gz").touch()
    one, ten = read_studies(root)
    assert (one.study_id, one.fractured, one.boxes, one.mask_file) == ("1", None, (), None)
    assert lines_file(one) is None
    assert ten.mask_file == root / "segmentations" / "10.nii.gz"
    assert lines_file(ten) == root / "fracture_masks" / "10.nii.gz"


def test_a_folder_outside_a_data_root_has_no_fracture_lines(tmp_path):
    lines = tmp_path / "fracture_masks" / "7.nii.gz"
    lines.parent.mkdir()
    lines.touch()
    assert lines_file(StudyRecord("7", tmp_path / "studies" / "7")) is None
    assert lines_file(StudyRecord("7", tmp_path / "train_images" / "7")) == lines


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


def test_a_dicom_segmentation_is_a_mask_where_there_is_no_nifti(tmp_path):
    root = data_root(tmp_path)
    (root / "segmentations").mkdir()
    for name in ("1.1.dcm", "1.2.dcm", "1.2.nii.gz"):
        (root / "segmentations" / name).touch()
    first, second = read_studies(root)
    assert first.mask_file == root / "segmentations" / "1.1.dcm"
    assert second.mask_file == root / "segmentations" / "1.2.nii.gz"


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
    assert "train.csv, line 3: the first of 2 studies without a folder" in caplog.text


def test_a_byte_order_mark_and_more_columns_in_another_order_are_fine(tmp_path):
    text = "\ufeffC1,C2,C3,C4,C5,C6,C7,note,StudyInstanceUID,patient_overall\n"
    records = read_studies(data_root(tmp_path, labels=text + "1,0,0,0,0,0,0,hello,1.1,1\n"))
    assert records[0].fractured == (True, False, False, False, False, False, False)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            "StudyInstanceUID,C1,C2,C3,C4,C5,C6\n",
            r"line 1: no column C7; .* seen, separated by commas, are StudyInstanceUID, C1",
        ),
        ("", "line 1: no column .*; there is no heading;"),
        ("\n\nStudyInstanceUID;C1;C2\n", "line 3: no column .* separated by semicolons, are"),
        (
            "StudyInstanceUID|C1|C2\n",
            "line 1: no column .*; the columns seen, separated by commas, are 1, without names",
        ),
        (HEAD.replace("C7", "C7,C7"), "line 1: column C7 occurs twice"),
        (
            HEAD + '1.1,0,0,0,0,0,0,0,0\n1.2,"0,0,0,0,0,0,0,0\n1.3,0,0,0,0,0,0,0,0\n',
            "line 3: .*CSV",
        ),
    ],
)
def test_a_label_table_that_cannot_be_understood_is_refused(tmp_path, labels, message):
    with pytest.raises(DataRootError, match=rf"train\.csv, {message}"):
        read_studies(data_root(tmp_path, labels=labels))


@pytest.mark.parametrize(
    ("rows", "line", "column", "problem"),
    [
        ("1.1,0,0,0,0,0,0,0,0\n1.2,1,2,0,0,0,0,0,0\n", 3, "C1", "C1 must be 0 or 1"),
        ("1.1,0,0,0,0,0,0,0,0\n1.2,0,0,0,0,0,0,0\n", 3, None, "it has too few values"),
        ("1.1,0,0,0,0,0,0,0,0\n1.2,0,0,0,0,0,0,0,0,1\n", 3, None, "it has too many values"),
        ("1.2,0,1,0,0,0,0,0,0\n1.1,0,0,0,0,0,0,0,0\n", 2, "patient_overall", "not the largest"),
        ("1.2,1,0,0,0,0,0,0,0\n1.1,0,0,0,0,0,0,0,0\n", 2, "patient_overall", "not the largest"),
        ("\n1.2,,0,0,0,0,0,0,0\n1.1,0,0,0,0,0,0,0,0\n", 3, "patient_overall", "must be 0 or 1"),
        ("1.2,0,0,0,0,inf,0,0,0\n1.1,0,0,0,0,0,0,0,0\n", 2, "C4", "C4 must be 0 or 1"),
        (",0,0,0,0,0,0,0,0\n1.1,0,0,0,0,0,0,0,0\n", 2, "StudyInstanceUID", "is empty"),
    ],
)
def test_a_wrong_label_row_leaves_its_study_unlabelled(tmp_path, rows, line, column, problem):
    root = data_root(tmp_path, labels=HEAD + rows)
    data_set = read_data_set(root)
    assert [s.study_id for s in data_set.studies if s.fractured is None] == ["1.2"]
    assert data_set.labels["study_id"].tolist() == ["1.1"]
    (found,) = data_set.problems
    assert (found.file, found.line, found.column) == (root / "train.csv", line, column)
    assert problem in found.problem
    assert not found.kept
    assert str(found).startswith(f"{root / 'train.csv'}, line {line}: ")


def test_every_wrong_cell_is_named_in_the_order_of_the_file(tmp_path):
    rows = "1.1,2,0,0,0,0,0,0,x\n1.2,0,0,9,0,0,0,0,0\n"
    problems = read_data_set(data_root(tmp_path, labels=HEAD + rows)).problems
    assert [(p.line, p.column) for p in problems] == [(2, "patient_overall"), (2, "C7"), (3, "C2")]


def test_a_row_given_twice_counts_once_and_two_that_differ_count_for_nothing(tmp_path):
    same, other = "1.1,1,1,0,0,0,0,0,0\n", "1.2,0,0,0,0,0,0,0,0\n1.2,1,0,1,0,0,0,0,0\n"
    data_set = read_data_set(data_root(tmp_path, labels=HEAD + same + other + same))
    assert [s.patient_fractured for s in data_set.studies] == [True, None]
    assert [(p.line, p.problem) for p in data_set.problems] == [
        (3, "another line labels the same study differently"),
        (4, "another line labels the same study differently"),
        (5, "the study occurs in an earlier line"),
    ]


def test_lines_are_those_of_the_file_whatever_is_quoted_or_empty(tmp_path):
    text = "note," + HEAD + '"two\nlines",1.1,0,0,0,0,0,0,0,0\n\n,,,,,,,,,\nb,1.2,3,0,0,0,0,0,0,0\n'
    (problem,) = read_data_set(data_root(tmp_path, labels=text)).problems
    assert problem.line == 6


def test_trailing_commas_and_blanks_around_values_are_fine(tmp_path):
    rows = "1.1, 0 ,0.0,0,0,0,0,0,0,,\n 1.2,1.0,1,0,0,0,0,0,0, \n"
    data_set = read_data_set(data_root(tmp_path, labels=HEAD + rows))
    assert [s.patient_fractured for s in data_set.studies] == [False, True]
    assert data_set.problems == []


CELLS = st.lists(st.sampled_from(["0", "1", "1.0", "2", "", "x"]), min_size=7, max_size=9)
GOOD = st.sampled_from([["0"] * 8, ["1", "0", "1", *"00000"], ["1.0", *"0000001"]])
STUDIES = tuple(f"1.{k}" for k in range(1, 9))


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from([*STUDIES, ""]), GOOD | GOOD | CELLS), max_size=16))
@settings(max_examples=25, deadline=None)
def test_labels_are_what_a_plain_loop_over_rows_accepts(tmp_path_factory, rows):
    # The first label is patient_overall; a good row has eight.
    def plain(cells):
        if len(cells) != 8 or any(c not in ("0", "1") for c in cells):
            return None
        values = tuple(c == "1" for c in cells)
        return values[1:] if values[0] == any(values[1:]) else None

    cells_of = defaultdict(list)
    for study, cells in rows:
        trimmed = cells[:8] if cells[8:] == [""] else cells
        cells_of[study].append([c.removesuffix(".0") for c in trimmed])
    expected = {
        study: plain(lines[0]) if all(line == lines[0] for line in lines) else None
        for study, lines in cells_of.items()
    }
    root = data_root(
        tmp_path_factory.mktemp("root"),
        studies=STUDIES,
        labels=HEAD + "".join(",".join((study, *cells)) + "\n" for study, cells in rows),
    )
    found = {s.study_id: s.fractured for s in read_data_set(root).studies}
    assert found == {study: expected.get(study) for study in STUDIES}


BOX = "1.1,1,2,3,4,5\n"


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ("1.1,a,2,3,4,5", "x", "x is not a number"),
        ("1.1,1,nan,3,4,5", "y", "y is not a number"),
        ("1.1,1,2,0,4,5", "width", "width and height must be above 0"),
        ("1.1,1,2,3,-4,5", "height", "width and height must be above 0"),
        ("1.1,-0.5,2,3,4,5", "x", "x is below 0"),
        ("1.1,1,2,3,4,5.5", "slice_number", "slice_number must be a whole number"),
        ("1.1,1,2,3,4,-1", "slice_number", "slice_number must be a whole number"),
        ("1.1,1,2,3,4,1e300", "slice_number", "slice_number must be a whole number"),
        ("1.1,1,2,3,4,", "slice_number", "slice_number is not a number"),
        ("1.1,1,2,3", None, "too few values"),
        (",1,2,3,4,5", "StudyInstanceUID", "is empty"),
        (BOX.strip(), "StudyInstanceUID", "the same box occurs in an earlier line"),
    ],
)
def test_a_wrong_box_is_left_out_and_named(tmp_path, row, column, problem):
    root = data_root(tmp_path, boxes=f"{BOX_HEAD}{BOX}{row}\n1.2,0,0,9,9,0\n")
    data_set = read_data_set(root)
    assert [s.boxes for s in data_set.studies] == [((5, (1, 2, 4, 6)),), ((0, (0, 0, 9, 9)),)]
    assert data_set.boxes["line"].tolist() == [2, 4]
    (found,) = data_set.problems
    assert found.file == root / "train_bounding_boxes.csv"
    assert (found.line, found.column) == (3, column)
    assert problem in found.problem


def test_a_box_of_a_study_called_intact_is_kept_and_doubted_once(tmp_path):
    root = data_root(
        tmp_path, labels=HEAD + "1.1,0,0,0,0,0,0,0,0\n1.2,1,1,0,0,0,0,0,0\n",
        boxes=BOX_HEAD + "1.2,1,2,3,4,5\n1.1,1,2,3,4,5\n1.1,1,2,3,4,6\n",
    )  # fmt: skip
    data_set = read_data_set(root)
    assert [len(s.boxes) for s in data_set.studies] == [2, 1]
    (found,) = data_set.problems
    assert (found.line, found.kept) == (3, True)


def test_masks_without_a_study_and_masks_stored_twice_are_named(tmp_path):
    root = data_root(tmp_path)
    (root / "segmentations").mkdir()
    for name in ("1.1.nii", "1.1.nii.gz", "7.7.nii", "8.8.nii", ".9.nii"):
        (root / "segmentations" / name).touch()
    twice, absent = read_data_set(root).problems
    assert (twice.file.name, twice.line) == ("1.1.nii.gz", None)
    assert absent.file.name == "7.7.nii"
    assert "first of 2 masks" in absent.problem


def test_problems_are_counted_in_one_warning_that_quotes_no_cell_and_no_study(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    rows = "1.1,DOE^JANE,0,0,0,0,0,0,0\n1.2,0,DOE^JANE,0,0,0,0,0,0\n"
    assert len(read_studies(data_root(tmp_path, labels=HEAD + rows))) == 2
    (message,) = caplog.messages
    assert "train.csv, line 2: patient_overall must be 0 or 1" in message
    assert "(and 1 more)" in message
    assert not any(text in message for text in ("DOE", "1.1", "1.2", str(tmp_path)))


def test_a_mask_named_first_in_the_warning_does_not_show_its_study(tmp_path, caplog):
    root = data_root(tmp_path)
    (root / "segmentations").mkdir()
    (root / "segmentations" / "7.7.nii").touch()
    read_studies(root)
    assert "7.7" not in caplog.text
    assert "segmentations" in caplog.text


def test_a_table_that_is_no_text_is_a_typed_error(tmp_path):
    root = data_root(tmp_path)
    (root / "train.csv").write_bytes(b"\x89\xfe\x00\x81" * 10)
    with pytest.raises(DataRootError, match="cannot be read as a CSV"):
        read_studies(root)


def test_an_invalid_root_reports_what_is_missing(tmp_path):
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

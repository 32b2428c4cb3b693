"""Boxes and labels are the same whoever wrote their table."""

from __future__ import annotations

import pytest

from core.dataset.label_table import as_known, named_studies, read_boxes, read_labels
from core.errors import DataRootError

BOXES = 'StudyInstanceUID,x,y,width,height,slice_number\n1.2,10.5,12,20,28,1\n1.3,1.25,2,8,9,"7"\n'
EXPECTED = [["1.2", 1, 10.5, 12.0, 30.5, 40.0], ["1.3", 7, 1.25, 2.0, 9.25, 11.0]]


def found(read, path):
    table = read(path)
    assert table is not None
    return table


COLUMNS = ["study_id", "slice_number", "left", "top", "right", "bottom"]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t, lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n"),
        lambda t: t.replace(",", ";"), lambda t: t.replace(",", "\t"),
        lambda t: t.replace(",", ";").replace(".5", ",5").replace(".25", ",25"),
        lambda t: t.replace("slice_number", "Slice Number").replace("StudyI", " study i"),
        lambda t: t.replace("1.2,", "  1.2\u00a0 ,").replace("10.5", '"10.5"'),
        lambda t: t.replace(",", " , ").replace("width", "WIDTH"),
        lambda t: '"sep=;"\n' + t.replace(",", ";"),
        lambda t: t.replace("StudyInstanceUID", "uid") + "\n\n;;;\n".replace(";", ","),
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_boxes_are_read_however_they_were_written(tmp_path, change, encoding):
    text = change(BOXES)
    (tmp_path / "b.csv").write_bytes(text.removeprefix("\ufeff" * (encoding != "utf-8"))
                                     .encode(encoding))  # fmt: skip
    boxes, problems = found(read_boxes, tmp_path / "b.csv")
    assert problems == []
    assert boxes[COLUMNS].to_numpy().tolist() == EXPECTED


def test_a_decimal_comma_is_none_where_commas_separate(tmp_path):
    (tmp_path / "b.csv").write_text(BOXES.replace("10.5", '"10,5"'))
    _, (problem,) = found(read_boxes, tmp_path / "b.csv")
    assert (problem.line, problem.column) == (2, "x")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_fault_of_the_heading_names_separator_and_columns(tmp_path, separator):
    words = {",": "commas", ";": "semicolons", "\t": "tabs"}
    (tmp_path / "b.csv").write_text(separator.join(["uid", "x", "y", "w", "h", "slice"]) + "\n")
    with pytest.raises(DataRootError) as error:
        read_boxes(tmp_path / "b.csv")
    assert str(error.value).endswith(
        f"b.csv, line 1: no column width, height, slice_number; the columns seen, separated by "
        f"{words[separator]}, are uid, x, y, w, h, slice; add it to the heading."
    )


def test_a_table_without_a_heading_shows_none_of_its_cells(tmp_path):
    (tmp_path / "b.csv").write_text("1.2.840,DOE^JANE,1980-01-01\n")
    with pytest.raises(DataRootError) as error:
        read_labels(tmp_path / "b.csv")
    assert not any(cell in str(error.value) for cell in ("DOE", "1980", "1.2.840"))


def test_lines_are_counted_from_the_top_of_the_file(tmp_path):
    text = "sep=,\r\n\r\nuid,C1,C2,C3,C4,C5,C6,C7\r\n\r\n1.2,0,0,0,0,0,0,7\r\n"
    (tmp_path / "t.csv").write_text(text, newline="")
    labels, (problem,) = found(read_labels, tmp_path / "t.csv")
    assert labels.empty
    assert (problem.line, problem.column) == (5, "C7")


def test_without_patient_overall_it_is_the_largest_label(tmp_path):
    text = "uid,C1,C2,C3,C4,C5,C6,C7\n1.2,0,0,0,0,0,0,1\n1.3,0,0,0,0,0,0,0\n1.4,1,0,0,0,0,0,x\n"
    (tmp_path / "t.csv").write_text(text)
    labels, (problem,) = found(read_labels, tmp_path / "t.csv")
    assert labels["patient_overall"].tolist() == [True, False]
    assert (problem.line, problem.column) == (4, "C7")


def test_ids_are_known_by_case_and_blanks():
    assert as_known(["A 1", "b", "c"], {"a1", "B", "x"}) == ["a1", "B", "c"]
    assert as_known(["A", "a"], {"a "}) == ["A", "a"]
    assert as_known(["ab"], {"Ab", "aB"}) == ["ab"]
    assert as_known(["a", "A"], {"a"}) == ["a", "A"]


def test_every_named_study_counts_even_in_a_wrong_row(tmp_path):
    (tmp_path / "t.csv").write_text("Study_ID;C1\n1.2;7\n;1\n")
    assert named_studies([tmp_path / "t.csv", tmp_path / "absent.csv"]) == {"1.2"}

"""Columns that a user adds by a CSV: what they may hold, and one sentence for what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DataRootError
from core.evaluation.tables import attribute_columns
from core.evaluation.tables.attribute_columns import column_attributes, read_columns

IDS = np.array([f"1.2.{k}" for k in range(8)])


def read(tmp_path, text: str, ids=IDS):
    path = tmp_path / "columns.csv"
    path.write_text(text, encoding="utf-8")
    found, notes = column_attributes(read_columns(path), ids)
    return {one.title: one for one in found}, notes


def rows(*columns: list, separator: str = ",") -> str:
    return "\n".join(separator.join(map(str, row)) for row in zip(IDS, *columns, strict=True))


def test_any_columns_become_attributes_by_study(tmp_path):
    site = ["Bern", "Basel"] * 4
    age = [20, 31, 42, 53, 64, 75, 86, ""]
    found, notes = read(tmp_path, "study_id,Site name,Age\n" + rows(site, age))
    assert list(found) == ["Site name", "Age"]
    assert found["Site name"].groups == ("Basel", "Bern")
    assert found["Site name"].key == "csv.sitename"
    assert found["Site name"].members[:, 1].tolist() == [True, False] * 4
    assert len(found["Age"].groups) == 4
    assert not found["Age"].members[7].any()
    assert {one.source for one in found.values()} == {"added"}
    assert notes == []


def test_numbers_with_a_decimal_comma_are_numbers(tmp_path):
    dose = [f"{k},5" for k in range(8)]
    found, _ = read(tmp_path, "uid;dose\n" + rows(dose, separator=";"))
    assert found["dose"].note == "groups by quartiles"


def test_ids_remarks_and_constants_make_no_groups(tmp_path):
    remark = [f"seen by reader {k}" for k in range(8)]
    long = ["x" * 61, "y" * 61] * 4
    text = "uid,remark,long,same,site\n" + rows(remark, long, ["a"] * 8, ["p", "q"] * 4)
    found, notes = read(tmp_path, text)
    assert list(found) == ["site"]
    assert len(notes) == 3
    assert all("reader" not in note and "xxx" not in note for note in notes)


def test_studies_without_a_row_are_counted_and_ids_may_differ_in_case(tmp_path):
    ids = np.array(["1.2.A", "1.2.B", "1.2.C"])
    found, notes = read(tmp_path, "uid,site\n 1.2.a,p\n1.2.b,q\n9.9,q\n", ids)
    assert found["site"].members.tolist() == [[True, False], [False, True], [False, False]]
    assert notes == ["1 of 3 studies have no row."]


def test_two_headings_that_fold_to_one_are_refused_and_similar_keys_differ(tmp_path):
    with pytest.raises(DataRootError, match="occurs twice"):
        read(tmp_path, "uid,Site,site\n" + rows(["p", "q"] * 4, ["p", "q"] * 4))
    found, _ = read(tmp_path, "uid,Site+,Site#\n" + rows(["p", "q"] * 4, ["p", "q"] * 4))
    assert sorted(one.key for one in found.values()) == ["csv.site", "csv.site.2"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("uid\n1.2.0\n", "has 0 columns besides"),
        ("name,site\nJane,Bern\n", "no column StudyInstanceUID"),
        ("uid,site\n", "has 0 rows"),
        ("uid,site\n1.2.0,p\n1.2.0,q\n", "line 3: this study has a row already"),
        ("uid,site\n,p\n", "line 2: no study id"),
        ("uid,site\n1.2.0,p,q\n", "line 2: it has more values"),
        ('uid,site\n1.2.0,"p\n', "check its quotation marks"),
        ("uid,site\n9.9,p\n", "None of the 1 rows"),
        ("uid," + ",".join(f"c{k}" for k in range(41)) + "\n1.2.0\n", "41 columns"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_a_cell(tmp_path, text, sentence):
    with pytest.raises(DataRootError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert sentence in message
    assert "Jane" not in message
    assert "Bern" not in message


def test_too_many_rows_and_a_missing_file_are_sentences(tmp_path, monkeypatch):
    monkeypatch.setattr(attribute_columns, "MOST_ROWS", 2)
    with pytest.raises(DataRootError, match="3 rows"):
        read(tmp_path, "uid,site\n1,a\n2,b\n3,a\n")
    with pytest.raises(DataRootError, match="does not exist"):
        read_columns(tmp_path / "none.csv")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(alphabet='uid,;\t\n"1.2 pq\0é-,', max_size=120))
def test_any_text_gives_attributes_or_a_sentence(tmp_path, text):
    try:
        found, _ = read(tmp_path, f"uid,a,n_values\n{text}", np.array(["1", "2", "1.2"]))
    except DataRootError:
        return
    for one in found.values():
        assert one.members.shape == (3, len(one.groups))
        assert len(set(one.groups)) == len(one.groups)

"""Boxes and labels joined to the index's table of slices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import load_tables
from core.dataset.index import build_index
from core.dataset.rsna import read_data_set
from core.dataset.slice_table import boxes_on_slices, check_boxes, file_numbers, labelled_slices
from core.errors import DataRootError
from core.system.parallel import Workers
from tests.core.dataset.test_rsna import BOX_HEAD, HEAD, data_root
from tests.core.dicom.dicom_factory import made_hu, write_ct_series

LABELS = HEAD + "1.1,1,1,0,0,0,0,0,0\n1.2,1,0,0,1,0,0,0,0\n"


def slice_rows(study="1.1", n=4, *, first_number=1, rows=512, cols=500, descending=False):
    """The index's rows of one plain study of n slices, 2 mm apart."""
    number = np.arange(first_number, first_number + n)
    return pd.DataFrame(
        {
            "study_id": study,
            "file": [f"{k}.dcm" for k in number],
            "instance_number": number,
            "frame": 0,
            "slice_index": np.arange(n)[::-1] if descending else np.arange(n),
            "role": "slice",
            "z_mm": (-2.0 if not descending else 2.0) * np.arange(n),
            "rows": rows,
            "cols": cols,
        }
    )


def boxed(folder, *rows, labels=LABELS):
    return read_data_set(data_root(folder, labels=labels, boxes=BOX_HEAD + "\n".join(rows)))


def test_boxes_that_fit_their_slice_stay(tmp_path):
    data_set = boxed(tmp_path, "1.1,0,0,500,512,1", "1.1,480.3,500,19.701,12,4", "1.2,1,2,3,4,8")
    slices = pd.concat([slice_rows(), slice_rows("1.2", 3, first_number=7)])
    checked = check_boxes(data_set, slices)
    assert checked.problems == []
    assert checked.studies == data_set.studies


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        ("1.1,480,10,20.5,10,2", "x", "x \\+ width lies past"),
        ("1.1,10,500,5,13,2", "y", "y \\+ height lies past"),
        ("1.1,10,10,5,13,0", "slice_number", "no slice of that number"),
        ("1.1,10,10,5,13,5", "slice_number", "no slice of that number"),
        ("1.1,10,10,5,13,9", "slice_number", "is not a slice of the CT volume"),
    ],
)
def test_a_box_off_its_image_or_without_a_slice_is_left_out(tmp_path, row, column, problem):
    localizer = slice_rows(n=1, first_number=9).assign(role="localizer", slice_index=-1)
    data_set = boxed(tmp_path, "1.1,1,2,3,4,1", row, "1.2,1,2,3,4,1")
    checked = check_boxes(data_set, pd.concat([slice_rows(), localizer, slice_rows("1.2")]))
    (found,) = checked.problems
    assert (found.file, found.line) == (tmp_path / "train_bounding_boxes.csv", 3)
    assert (found.column, found.kept) == (column, False)
    assert pd.Series([found.problem]).str.contains(problem).all()
    assert [s.boxes for s in checked.studies] == [((1, (1, 2, 4, 6)),), ((1, (1, 2, 4, 6)),)]
    assert checked.boxes["line"].tolist() == [2, 4]
    assert len(data_set.boxes) == 3


def test_the_edge_that_is_passed_is_the_one_of_the_boxs_own_image(tmp_path):
    data_set = boxed(tmp_path, "1.1,510,500,8,10,2")
    assert check_boxes(data_set, slice_rows(rows=512, cols=519)).problems == []
    (found,) = check_boxes(data_set, slice_rows(rows=519, cols=512)).problems
    assert found.column == "x"


def test_a_study_the_index_does_not_list_is_taken_as_it_is(tmp_path):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,999")
    assert check_boxes(data_set, slice_rows("1.2")).studies[0].boxes == data_set.studies[0].boxes
    assert boxes_on_slices(data_set, slice_rows("1.2"))["role"].tolist() == [None]


def test_a_doubt_about_a_box_goes_when_the_box_goes(tmp_path):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,99", labels=HEAD + "1.1,0,0,0,0,0,0,0,0\n")
    assert [p.kept for p in data_set.problems] == [True]
    assert [p.kept for p in check_boxes(data_set, slice_rows()).problems] == [False]


def test_boxes_find_their_slice_by_number_whatever_the_direction_and_first_number(tmp_path):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,59", "1.1,1,2,3,4,61", "1.2,1,2,3,4,3")
    slices = pd.concat([slice_rows(first_number=59, descending=True), slice_rows("1.2")])
    placed = boxes_on_slices(data_set, slices)
    assert placed["slice_index"].tolist() == [3, 1, 2]
    assert placed["z_mm"].tolist() == [0.0, 4.0, -4.0]
    assert placed["line"].tolist() == [2, 3, 4]


def test_a_box_on_a_duplicate_belongs_to_the_slice_at_its_position(tmp_path):
    kept = slice_rows()
    twins = slice_rows(first_number=5).assign(role="duplicate", slice_index=-1)
    twins["z_mm"] += 0.004
    data_set = boxed(tmp_path, "1.1,1,2,3,4,6", "1.1,1,2,3,4,8", "1.1,1,2,3,4,3")
    slices = pd.concat([kept, twins, slice_rows("1.2")])
    placed = boxes_on_slices(data_set, slices)
    assert placed["slice_index"].tolist() == [1, 3, 2]
    assert check_boxes(data_set, slices).problems == []


def test_the_file_name_is_the_number_and_the_header_only_where_the_name_is_none():
    slices = slice_rows(n=5).assign(
        file=["12.dcm", "0007", "IM-0001-0003", "a.dcm", "٣.dcm"],
        instance_number=pd.array([1, 2, 30, None, 5], "Int64"),
    )
    assert file_numbers(slices).tolist() == [12, 7, 30, -1, 5]


@pytest.mark.parametrize("as_category", [False, True])
def test_slices_get_the_labels_of_their_study_and_their_boxes(tmp_path, as_category):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,2", "1.1,5,5,3,4,2", "1.2,1,2,3,4,1")
    other = slice_rows(n=1, first_number=9).assign(role="other series", slice_index=-1)
    slices = pd.concat([slice_rows("1.2", 2), slice_rows(), other, slice_rows("9.9", 1)])
    if as_category:
        slices["study_id"] = slices["study_id"].astype("category")
    table = labelled_slices(data_set, slices)
    assert table["study_id"].astype(str).tolist() == ["1.2"] * 2 + ["1.1"] * 4 + ["9.9"]
    assert table["C1"].tolist() == [False] * 2 + [True] * 4 + [pd.NA]
    assert table["C3"].tolist() == [True] * 2 + [False] * 4 + [pd.NA]
    assert table["patient_overall"].isna().tolist() == [False] * 6 + [True]
    assert table["boxed"].tolist() == [True, False, False, True, False, False, False]


def test_without_tables_every_slice_is_unlabelled_and_unboxed(tmp_path):
    data_set = read_data_set(data_root(tmp_path))
    table = labelled_slices(data_set, slice_rows())
    assert table["C7"].tolist() == [pd.NA] * 4
    assert table["boxed"].tolist() == [False] * 4
    assert check_boxes(data_set, slice_rows()).problems == []
    assert len(labelled_slices(data_set, slice_rows(n=0))) == 0


def test_joining_agrees_with_a_plain_loop(tmp_path):
    rng = np.random.default_rng(4)
    studies = [f"1.{k}" for k in range(12)]
    flags = rng.random((12, 7)) < 0.2
    labels = HEAD + "".join(
        ",".join((study, *(str(int(v)) for v in (row.any(), *row)))) + "\n"
        for study, row in zip(studies[:9], flags[:9], strict=True)
    )
    numbers = {s: rng.choice(np.arange(1, 20), 5, replace=False) for s in studies}
    boxes = [f"{s},1,1,2,2,{k}" for s in studies for k in numbers[s]]
    root = data_root(tmp_path, studies, labels, BOX_HEAD + "\n".join(boxes))
    data_set = read_data_set(root)
    slices = pd.concat(
        [slice_rows(s, 15, descending=k % 3 == 0) for k, s in enumerate(studies)]
    ).sample(frac=1, random_state=1)
    table = labelled_slices(check_boxes(data_set, slices), slices)
    assert len(table) == len(slices)
    rows = zip(slices.to_dict("records"), table.to_dict("records"), strict=True)
    for row, found in rows:
        at = studies.index(row["study_id"])
        assert found["file"] == row["file"]
        assert found["boxed"] == (row["instance_number"] in numbers[row["study_id"]])
        truth = [found[f"C{j}"] for j in range(1, 8)]
        assert truth == flags[at].tolist() if at < 9 else all(pd.isna(v) for v in truth)


def test_both_ways_of_the_benchmark_agree_on_a_small_set(tmp_path):
    load_tables.make_up(tmp_path, studies=20, slices=2_000, boxes=70)
    answer = load_tables.ours(tmp_path)
    assert answer == load_tables.plain(tmp_path)
    assert min(answer) > 0


def test_the_tables_join_to_the_index_that_is_built(tmp_path):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,2", "1.1,1,2,3,4,9", "1.2,8,2,3,4,1")
    for study in ("1.1", "1.2"):
        write_ct_series(tmp_path / "train_images" / study, made_hu(3, 12, 10), study_uid=study)
    index = build_index(tmp_path, tmp_path / "cache", workers=Workers(jobs=1))
    checked = check_boxes(data_set, index.slices)
    assert [(p.line, p.column) for p in checked.problems] == [(3, "slice_number"), (4, "x")]
    table = labelled_slices(checked, index.slices)
    assert table[["study_id", "slice_index", "boxed"]].to_numpy().tolist() == [
        [study, i, (study, i) == ("1.1", 1)] for study in ("1.1", "1.2") for i in range(3)
    ]
    assert table["C1"].tolist() == [True] * 3 + [False] * 3


def test_an_index_without_a_needed_column_is_refused(tmp_path):
    data_set = boxed(tmp_path, "1.1,1,2,3,4,2")
    with pytest.raises(DataRootError, match="lacks the column cols; build it again"):
        check_boxes(data_set, slice_rows().drop(columns="cols"))

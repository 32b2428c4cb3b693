"""Filters against pandas' own words on tables made up at random, and on an index that was built."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.constants import VERTEBRAE
from core.dataset.quality import FLAG_COLUMNS
from core.dataset.rsna import read_data_set
from core.dataset.statistics import distribution_edges, round_edges, summarise_studies
from core.dataset.study_table import StudyFilter, select, study_table
from tests.core.dataset.made_data import made_boxes, made_index
from tests.core.dataset.made_root import add_study, index_here, write_boxes, write_labels


@pytest.fixture(scope="module")
def made():
    index = made_index(studies=400, slices=11_000, seed=3)
    boxes = made_boxes(index, 300, seed=4)
    return index, boxes, study_table(index, boxes)


def chosen(table, **parts):
    return set(table.studies["study_id"][select(table, StudyFilter(**parts))])


def asked(index, query):
    return set(index.studies.query(query, engine="python")["study_id"])


@pytest.mark.parametrize(
    ("parts", "query"),
    [
        ({}, "n_slices >= 0"),
        ({"fractured": True}, "patient_overall == True"),
        ({"fractured": False}, "patient_overall == False"),
        ({"vertebrae": ("C2",)}, "C2 == True"),
        ({"vertebrae": ("C2", "C7")}, "C2 == True and C7 == True"),
        ({"n_boxes": (3, 6)}, "3 <= n_boxes < 6"),
        ({"n_slices": (20.0, 30.0)}, "20 <= n_slices < 30"),
        ({"spacing_mm": (0.5, 1.0)}, "0.5 <= z_spacing_mm < 1.0"),
        ({"flags": ("flag_gap",)}, "flag_gap"),
        ({"flags": ("flag_gap", "flag_compressed")}, "flag_gap and flag_compressed"),
        ({"fractured": True, "flags": ("flag_gap",)}, "patient_overall == True and flag_gap"),
    ],
)
def test_a_filter_keeps_what_pandas_keeps(made, parts, query):
    index, _, table = made
    kept = chosen(table, **parts)
    assert kept == asked(index, query)
    assert parts == {} or 0 < len(kept) < len(table)


def test_the_number_of_fractures_counts_vertebrae_of_labelled_studies(made):
    index, _, table = made
    studies = index.studies.dropna(subset=["C1"])
    for count in range(4):
        rows = studies[studies[list(VERTEBRAE)].astype(int).sum(axis=1) == count]
        assert chosen(table, n_fractured=count) == set(rows["study_id"])
    assert not select(table, StudyFilter(n_fractured=-1))[table.labels[:, 0] >= 0].any()


def test_a_box_of_the_size_asked_for_is_enough(made):
    index, boxes, table = made
    joined = boxes.merge(index.studies[["study_id", "row_mm"]], on="study_id")
    side = np.sqrt((joined.right - joined.left) * (joined.bottom - joined.top)) * joined.row_mm
    kept = chosen(table, box_mm=(10.0, 12.0))
    assert kept == set(joined["study_id"][(side >= 10) & (side < 12)])
    assert kept


def test_text_is_found_in_any_case_and_is_no_pattern(made):
    _, _, table = made
    one = table.studies["study_id"][7]
    assert one in chosen(table, text=one[-6:].upper())
    assert chosen(table, text=".*") == set()


def test_parts_come_and_go():
    wanted = StudyFilter(fractured=False, flags=("flag_gap",), text="9")
    assert wanted.parts == ("fractured", "flags", "text")
    assert wanted.without("flags").parts == ("fractured", "text")
    for part in wanted.parts:
        wanted = wanted.without(part)
    assert wanted == StudyFilter()
    assert StudyFilter().parts == ()


def test_an_unknown_name_is_refused(made):
    for parts in ({"vertebrae": ("C8",)}, {"flags": ("flag_red",)}):
        with pytest.raises(ValueError, match="not in tuple"):
            select(made[2], StudyFilter(**parts))


def test_statistics_are_pandas_counts(made):
    index, boxes, table = made
    studies = index.studies
    stats = summarise_studies(table, select(table, StudyFilter()), distribution_edges(table))
    labelled = studies.dropna(subset=["C1"])
    positive = labelled[list(VERTEBRAE)].astype(int)
    assert stats.studies == 400
    assert stats.bytes == index.slices["bytes"].sum()
    assert stats.slices == studies["n_slices"].sum()
    assert stats.labelled == len(labelled) < 400
    assert stats.fractured == labelled["patient_overall"].astype(int).sum()
    assert stats.boxes == len(boxes)
    assert stats.boxed == boxes["study_id"].nunique()
    assert stats.masked == studies["has_mask"].sum()
    assert stats.flagged == studies[list(FLAG_COLUMNS)].any(axis=1).sum()
    assert stats.vertebrae.tolist() == positive.sum().tolist()
    counts = positive.sum(axis=1).value_counts().reindex(range(8), fill_value=0)
    assert stats.fractures_per_patient.tolist() == counts.tolist()
    for i, one in enumerate(VERTEBRAE):
        for j, other in enumerate(VERTEBRAE):
            both = (positive[one] & positive[other]).sum()
            assert stats.together[i, j] == both
    assert {flag.column: n for flag, n in stats.flags} == studies[
        list(FLAG_COLUMNS)
    ].sum().to_dict()
    histogram, _ = np.histogram(studies["n_slices"], stats.n_slices.edges)
    assert stats.n_slices.counts.tolist() == histogram.tolist()
    assert stats.n_slices.median == studies["n_slices"].median()
    assert stats.box_mm.counts.sum() == len(boxes)


def test_statistics_of_a_part_are_those_of_a_data_set_of_that_part(made):
    index, boxes, table = made
    passes = select(table, StudyFilter(fractured=True))
    ids = set(table.studies["study_id"][passes])
    part = study_table(
        type(index)(
            index.slices[index.slices["study_id"].isin(ids)],
            index.studies[index.studies["study_id"].isin(ids)],
            index.folder,
        ),
        boxes[boxes["study_id"].isin(ids)],
    )
    edges = distribution_edges(table)
    one = summarise_studies(table, passes, edges)
    other = summarise_studies(part, np.ones(len(part), bool), edges)
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if hasattr(a, "counts"):
            assert a.counts.tolist() == b.counts.tolist()
        else:
            np.testing.assert_array_equal(a, b)


def test_no_study_gives_zeros_and_no_median(made):
    table = made[2]
    stats = summarise_studies(table, np.zeros(len(table), bool), distribution_edges(table))
    assert (stats.studies, stats.labelled, stats.boxes, stats.bytes) == (0, 0, 0, 0)
    assert stats.together.sum() == stats.fractures_per_patient.sum() == 0
    assert np.isnan(stats.n_slices.median)


@given(st.lists(st.floats(0, 5000).map(lambda v: round(v, 3)), max_size=40), st.booleans())
@settings(max_examples=200, deadline=None)
def test_round_intervals_hold_every_value(values, whole):
    values = np.array([round(v) if whole else v for v in values], float)
    edges = round_edges(values, whole=whole)
    assert (np.diff(edges) > 0).all()
    assert 2 <= len(edges) <= 25
    if len(values):
        assert edges[0] <= values.min()
        assert values.max() < edges[-1]
        assert np.histogram(values, edges)[0].sum() == len(values)
    assert not whole or np.diff(edges).min() >= 1


def test_intervals_start_at_round_numbers():
    assert round_edges(np.array([0.31, 2.63]), whole=False)[:3].tolist() == [0.2, 0.4, 0.6]
    assert round_edges(np.array([1.0, 4.0]), whole=True).tolist() == [1, 2, 3, 4, 5]


def test_an_index_that_was_built_can_be_searched(tmp_path):
    root = tmp_path / "root"
    add_study(root, "1.1")
    add_study(root, "1.2", slices=12)
    add_study(root, "1.3")
    write_labels(root, {"1.1": (0, 1, 0, 0, 0, 0, 1), "1.2": (0,) * 7})
    write_boxes(root, [("1.1", 4), ("1.1", 5)])
    index = index_here(root)
    table = study_table(index, read_data_set(root).boxes)
    assert chosen(table, vertebrae=("C2",), n_fractured=2) == {"1.1"}
    assert chosen(table, flags=("flag_short_coverage",)) == {"1.2"}
    stats = summarise_studies(table, select(table, StudyFilter()), distribution_edges(table))
    assert (stats.studies, stats.labelled, stats.fractured, stats.boxes) == (3, 2, 1, 2)
    # Boxes of 2 x 2 pixels of 0.5 mm.
    assert table.boxes["side_mm"].tolist() == [1.0, 1.0]
    assert stats.bytes == sum(f.stat().st_size for f in root.rglob("*.dcm"))


def test_no_boxes_at_all(made):
    index, boxes, _ = made
    table = study_table(index, pd.DataFrame(boxes.iloc[:0]))
    assert chosen(table, box_mm=(0.0, 99.0)) == set()
    stats = summarise_studies(table, select(table, StudyFilter()), distribution_edges(table))
    assert stats.box_mm.counts.tolist() == [0]

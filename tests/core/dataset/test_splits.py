"""Folds by patient: even, stable, saved, and never with a patient on both sides."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.splits import assign_folds, load_or_make_folds
from core.errors import DataRootError
from core.types import StudyRecord


def _record(number, fractured):
    labels = None if fractured is None else (fractured, *[False] * 6)
    return StudyRecord(f"1.2.{number}", Path("x"), labels)


def _records(fractured, intact, unlabelled=0):
    kinds = [True] * fractured + [False] * intact + [None] * unlabelled
    return [_record(number, kind) for number, kind in enumerate(kinds)]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([True, False, None]), min_size=5, max_size=40),
    st.integers(2, 5),
    st.integers(0, 5),
)
def test_every_study_is_held_out_exactly_once_whatever_the_labels(kinds, folds, seed):
    records = [_record(number, kind) for number, kind in enumerate(kinds)]
    assigned = assign_folds(records, folds, seed)
    assert assigned.keys() == {record.study_id for record in records}
    assert set(assigned.values()) <= set(range(folds))


def test_folds_share_fractured_patients_evenly():
    records = _records(fractured=20, intact=30)
    assigned = assign_folds(records, 5, seed=0)
    for fold in range(5):
        held_out = [r for r in records if assigned[r.study_id] == fold]
        assert len(held_out) == 10
        assert sum(bool(r.patient_fractured) for r in held_out) == 4


def test_order_of_the_studies_does_not_matter_but_the_seed_does():
    records = _records(fractured=10, intact=10)
    assert assign_folds(records, 5, seed=1) == assign_folds(records[::-1], 5, seed=1)
    assert assign_folds(records, 5, seed=1) != assign_folds(records, 5, seed=2)


def test_a_made_up_list_is_split_the_same_on_every_machine():
    records = _records(fractured=5, intact=6, unlabelled=1)
    assigned = assign_folds(records, 3, seed=7)
    assert [assigned[f"1.2.{k}"] for k in range(12)] == [1, 2, 1, 0, 0, 0, 1, 2, 1, 0, 2, 2]


def test_strata_smaller_than_the_folds_still_fill_every_fold():
    assigned = assign_folds(_records(fractured=2, intact=2, unlabelled=2), 5, seed=0)
    assert set(assigned.values()) == set(range(5))


def test_fewer_studies_or_patients_than_folds_are_refused():
    records = _records(fractured=1, intact=2)
    with pytest.raises(DataRootError, match="3 studies cannot be split into 5 folds"):
        assign_folds(records, 5, seed=0)
    patients = dict.fromkeys((r.study_id for r in records), "A")
    with pytest.raises(DataRootError, match="1 patient cannot be split into 2 folds"):
        assign_folds(records, 2, seed=0, patients=patients)


PATIENTS = st.lists(st.integers(0, 12), min_size=12, max_size=40).filter(lambda p: len(set(p)) > 5)


@pytest.mark.slow
@given(PATIENTS, st.integers(2, 5), st.integers(0, 3), st.data())
@settings(deadline=None, max_examples=60)
def test_no_patient_is_in_two_folds_even_after_the_set_has_grown(
    tmp_path_factory, patients, folds, seed, data
):
    kinds = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=len(patients),
                               max_size=len(patients)))  # fmt: skip
    records = [_record(number, kind) for number, kind in enumerate(kinds)]
    patient_of = {f"1.2.{k}": f"P{patient}" for k, patient in enumerate(patients)}
    known = len({patient_of[r.study_id] for r in records[:10]}) >= folds
    path = tmp_path_factory.mktemp("splits") / "folds.json"
    first = {}
    if known:
        first = load_or_make_folds(path, records[:10], folds, seed, patients=patient_of)
    assigned = load_or_make_folds(path, records, folds, seed, patients=patient_of)
    assert assigned.keys() == patient_of.keys()
    assert first.items() <= assigned.items()
    folds_of = {(patient_of[study], fold) for study, fold in assigned.items()}
    assert len(folds_of) == len(set(patients))


def test_a_study_named_like_a_patient_is_not_that_patient():
    records = _records(fractured=1, intact=1)
    patients = {"1.2.0": "1.2.1"}
    assert set(assign_folds(records, 2, 0, patients=patients).values()) == {0, 1}


def test_folds_are_saved_and_read_back_not_made_again(tmp_path):
    records = _records(fractured=6, intact=6)
    made = load_or_make_folds(tmp_path / "s" / "folds.json", records, 3, seed=1)
    assert made == assign_folds(records, 3, seed=1)
    path = tmp_path / "s" / "folds.json"
    content = json.loads(path.read_text())
    content["fold_of_study"]["1.2.0"] = other = (made["1.2.0"] + 1) % 3
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    assert load_or_make_folds(path, records[::-1], 3, seed=1) == made | {"1.2.0": other}
    assert path.read_bytes() == before


def test_the_file_is_the_same_whatever_the_order_of_the_studies(tmp_path):
    records = _records(fractured=6, intact=6)
    load_or_make_folds(tmp_path / "a.json", records, 3, seed=1)
    load_or_make_folds(tmp_path / "b.json", records[::-1], 3, seed=1)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_new_studies_go_where_their_stratum_is_fewest_and_old_ones_stay(tmp_path):
    path = tmp_path / "folds.json"
    old = _records(fractured=10, intact=10)
    before = load_or_make_folds(path, old, 5, seed=0)
    new = [_record(100 + k, kind) for k, kind in enumerate([True] * 7 + [False] * 8 + [None] * 5)]
    after = load_or_make_folds(path, old + new, 5, seed=0)
    again = load_or_make_folds(path, (new + old)[::-1], 5, seed=0)
    assert after == again
    assert before.items() <= after.items()
    for kind, total in ((True, 17), (False, 18), (None, 5)):
        counts = Counter(after[r.study_id] for r in old + new if r.patient_fractured is kind)
        assert sum(counts.values()) == total
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len(counts) == 5


def test_a_study_that_left_keeps_its_place_for_when_it_comes_back(tmp_path):
    path = tmp_path / "folds.json"
    records = _records(fractured=6, intact=6)
    made = load_or_make_folds(path, records, 3, seed=1)
    part = load_or_make_folds(path, records[:5], 3, seed=1)
    assert part == {study: made[study] for study in part}
    assert load_or_make_folds(path, records, 3, seed=1) == made


def test_a_corrected_label_moves_no_study(tmp_path):
    path = tmp_path / "folds.json"
    made = load_or_make_folds(path, _records(fractured=6, intact=6), 3, seed=1)
    assert load_or_make_folds(path, _records(fractured=3, intact=9), 3, seed=1) == made


def test_other_settings_than_the_files_are_refused(tmp_path):
    path = tmp_path / "folds.json"
    records = _records(fractured=6, intact=6)
    load_or_make_folds(path, records, 3, seed=1)
    for folds, seed in ((4, 1), (3, 2)):
        with pytest.raises(DataRootError, match=r"folds\.json was made with other settings"):
            load_or_make_folds(path, records, folds, seed)


def test_a_file_with_one_patient_on_both_sides_is_refused(tmp_path):
    path = tmp_path / "folds.json"
    records = _records(fractured=6, intact=6)
    made = load_or_make_folds(path, records, 3, seed=1)
    here = next(study for study, fold in made.items() if fold == 0)
    there = next(study for study, fold in made.items() if fold == 1)
    with pytest.raises(DataRootError, match="one patient in two folds"):
        load_or_make_folds(path, records, 3, seed=1, patients={here: "A", there: "A"})


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", "{}", '{"format": 1, "folds": 3, "seed": 1}',
        '{"format": 1, "folds": 3, "seed": 1, "fold_of_study": {"1.2.0": 3}}',
        '{"format": 1, "folds": 3, "seed": 1, "fold_of_study": {"1.2.0": "0"}}',
        '{"format": 2, "folds": 3, "seed": 1, "fold_of_study": {}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_and_left_unchanged(tmp_path, content):
    path = tmp_path / "folds.json"
    path.write_text(content)
    with pytest.raises(DataRootError, match=r"folds\.json cannot be read as saved folds"):
        load_or_make_folds(path, _records(fractured=6, intact=6), 3, seed=1)
    assert path.read_text() == content

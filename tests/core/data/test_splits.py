from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.splits import assign_folds
from core.errors import DataRootError
from core.types import StudyRecord


def _record(number, fractured):
    labels = None if fractured is None else (fractured, *[False] * 6)
    return StudyRecord(f"1.2.{number}", Path("x"), labels)


def _records(fractured, intact, unlabelled=0):
    kinds = [True] * fractured + [False] * intact + [None] * unlabelled
    return [_record(number, kind) for number, kind in enumerate(kinds)]


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


def test_strata_smaller_than_the_folds_still_fill_every_fold():
    assigned = assign_folds(_records(fractured=2, intact=2, unlabelled=2), 5, seed=0)
    assert set(assigned.values()) == set(range(5))


def test_fewer_studies_than_folds_are_refused():
    with pytest.raises(DataRootError, match="3 studies cannot be split into 5 folds"):
        assign_folds(_records(fractured=1, intact=2), 5, seed=0)

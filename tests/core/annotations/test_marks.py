"""Marks that last: changed one by one, by several people, and read with damage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.annotations import marks
from core.annotations.marks import MarkStore, made_mark
from core.annotations.store import AnnotationStore
from core.errors import AnnotationError, DataRootError

STUDY = "1.2.840.7"
LENGTH = made_mark(kind="length", plane="sagittal", points=((1.5, -2, 3), (1.5, 20.25, 3)))
ARROW = made_mark(kind="arrow", plane="axial", points=((0, 0, 0), (5, 5, 0)), text="“line” in C5\n")


@pytest.fixture
def store(tmp_path):
    return MarkStore(tmp_path / "annotations" / "marks")


def test_changes_are_merged_by_name_and_read_back(store):
    store.change(STUDY, {"mark1": LENGTH, "mark2": ARROW})
    store.change(STUDY, {"mark1": None, "mark3": LENGTH})
    longer = made_mark(**dict(ARROW) | {"text": "C6"})
    store.change(STUDY, {"mark2": longer})
    log = store.read(STUDY)
    assert log.marks == {"mark2": longer, "mark3": LENGTH}
    assert log.problems == ()
    assert store.read("1.2.3").marks == {}


def test_the_annotations_beside_them_are_not_disturbed(store, tmp_path):
    store.change(STUDY, {"mark1": LENGTH})
    assert AnnotationStore(tmp_path / "annotations").study_ids() == ()


def test_of_many_at_once_none_is_lost(store, tmp_path):
    def mark(name):
        MarkStore(tmp_path / "annotations" / "marks").change(STUDY, {name: LENGTH})

    names = [f"mark{k}" for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(mark, names))
    assert sorted(store.read(STUDY).marks) == names


def test_a_damaged_line_is_named_and_the_others_hold(store, tmp_path):
    store.change(STUDY, {"mark1": LENGTH})
    (file,) = (tmp_path / "annotations" / "marks").glob("*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"name": "mark2"')
    store.change(STUDY, {"mark3": ARROW})
    log = store.read(STUDY)
    assert sorted(log.marks) == ["mark1", "mark3"]
    assert "line 2: it is no mark" in log.problems[0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"points": ((0, 0, 0),)}, "length needs 2 points"),
        ({"points": ((0, 0, float("nan")), (0, 0, 1))}, "finite"),
        ({"text": "x" * 121}, "120"),
        ({"kind": "circle"}, "length"),
    ],
)
def test_what_is_no_mark_is_refused(values, said):
    with pytest.raises(AnnotationError, match=said):
        made_mark(**dict(LENGTH) | values)


def test_too_many_marks_and_no_study_are_refused(store, monkeypatch):
    monkeypatch.setattr(marks, "MAX_MARKS", 2)
    store.change(STUDY, {"mark1": LENGTH, "mark2": LENGTH})
    with pytest.raises(AnnotationError, match="at most 2 marks"):
        store.change(STUDY, {"mark3": LENGTH})
    store.change(STUDY, {"mark1": None, "mark3": LENGTH})
    assert sorted(store.read(STUDY).marks) == ["mark2", "mark3"]
    with pytest.raises(DataRootError):
        store.change("../x", {"mark1": LENGTH})

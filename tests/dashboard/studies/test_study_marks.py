"""Where marks are kept: with the data set's annotations, or in the session alone."""

from __future__ import annotations

import numpy as np
import pytest

from core.annotations.marks import MarkStore
from core.errors import StorageError
from core.types import CTVolume
from dashboard.session import state
from dashboard.studies import study_marks
from dashboard.studies.open_study import OpenStudy
from dashboard.studies.study_marks import MarkedStudy, shown_marks, take_marks

AFFINE = np.array([[0, 0.1, 0.8, -30], [0, 0.8, 0, -40], [-3.0, 0.3, 0, 90], [0, 0, 0, 1]])
POINTS = [[2.0, 10.25, 7.5], [4.5, 1.0, 7.5]]


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """A session of its own, whose user may change things, and the store."""
    session = {}
    monkeypatch.setattr(state, "recall", lambda key, default=None: session.get(key, default))
    monkeypatch.setattr(state, "remember", session.__setitem__)
    store = MarkStore(tmp_path / "marks")
    monkeypatch.setattr(study_marks, "mark_store", lambda: store)
    monkeypatch.setattr(study_marks, "may_change", lambda: True)
    return store


def study(owner=None, study_id="1.2.3"):
    hu = np.zeros((6, 20, 16), np.int16)
    volume = CTVolume(hu, (3, 0.8, 0.8), AFFINE, 90 - 3.0 * np.arange(6), (0,) * 6, (), "1", "2")
    return MarkedStudy.of(OpenStudy("f" * 64, volume, owner), study_id)


def report(*changes, source="s"):
    return {
        "study": source,
        "changes": [{"serial": serial, "id": name, "mark": mark} for serial, name, mark in changes],
    }


def length(points=POINTS):
    return {"id": "mark1", "kind": "length", "plane": "sagittal", "points": points, "text": ""}


def test_marks_of_a_data_set_are_kept_as_patient_coordinates_and_come_back_as_voxels(kept):
    take_marks(study(), "viewer", "s", report((1, "mark1", length())))
    (mark,) = kept.read("1.2.3").marks.values()
    for voxel, point in zip(POINTS, mark.points, strict=True):
        assert point == pytest.approx((AFFINE @ [*voxel, 1])[:3])
    told = shown_marks(study(), "viewer")
    assert told == {"marks": [length()], "seen": 1, "problem": None}


def test_a_report_is_taken_once_and_only_for_the_study_on_show(kept):
    first = report((1, "mark1", length()))
    take_marks(study(), "viewer", "s", first)
    take_marks(study(), "viewer", "s", report((2, "mark1", None)))
    take_marks(study(), "viewer", "s", first)
    assert kept.read("1.2.3").marks == {}
    take_marks(study(), "viewer", "s", report((3, "mark1", length()), source="other"))
    assert kept.read("1.2.3").marks == {}
    assert shown_marks(study(), "viewer")["seen"] == 2


@pytest.mark.parametrize(
    ("owner", "study_id", "may"),
    [("me", None, True), ("me", "1.2.3", True), (None, None, True), (None, "1.2.3", False)],
)
def test_other_marks_stay_in_the_session(kept, monkeypatch, tmp_path, owner, study_id, may):
    monkeypatch.setattr(study_marks, "may_change", lambda: may)
    take_marks(study(owner, study_id), "viewer", "s", report((1, "mark1", length())))
    assert shown_marks(study(owner, study_id), "viewer")["marks"] == [length()]
    assert not (tmp_path / "marks").exists()


def test_what_cannot_be_kept_is_said_and_shown_for_the_session(kept, monkeypatch):
    def full(*_):
        raise StorageError("The disk is full; free some space.")

    monkeypatch.setattr(MarkStore, "change", full)
    take_marks(study(), "viewer", "s", report((1, "mark1", length())))
    told = shown_marks(study(), "viewer")
    assert told["problem"] == "The disk is full; free some space."
    assert told["marks"] == [length()]


@pytest.mark.parametrize("mark", [length([[1, 2, 3]]), length("x"), {"kind": "length"},
                                  length([[1, 2, float("nan")], [1, 2, 3]])])  # fmt: skip
def test_nonsense_is_one_sentence_and_nothing_is_kept(kept, mark):
    take_marks(study(), "viewer", "s", report((1, "mark1", mark)))
    told = shown_marks(study(), "viewer")
    assert told["marks"] == []
    assert told["problem"].endswith("again.")

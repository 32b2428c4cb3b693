from __future__ import annotations

import json
import math

import pytest

from core.constants import VERTEBRAE
from core.errors import BundleError, StorageError
from core.models.saved_points import (
    HISTORY_LIMIT,
    SavedPoint,
    point_history,
    save_operating_point,
    undo_operating_point,
)

EARLIER = {"patient": {"threshold": 0.8, "rule": "highest F1"}, "chosen_on": "fold 0"}


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "points.json"
    file.write_text(json.dumps(EARLIER))
    return file


def stored(file):
    return json.loads(file.read_text())


def point(threshold, **changes):
    return SavedPoint(threshold, "highest F1", "training cohort", **changes)


def test_saving_keeps_rule_data_and_date_and_leaves_other_levels(file):
    save_operating_point(file, "vertebra", point(0.25, asked=None))
    save_operating_point(file, "patient", point(0.5, asked=0.95))
    content = stored(file)
    assert content["chosen_on"] == "fold 0"
    assert content["vertebra"]["threshold"] == 0.25
    entry = content["patient"]
    assert (entry["threshold"], entry["rule"], entry["data"], entry["asked"]) == (
        0.5, "highest F1", "training cohort", 0.95,
    )  # fmt: skip
    assert entry["saved"].endswith("+00:00")
    assert [p.entry for p in point_history(file, "patient")] == [EARLIER["patient"]]


def test_undo_walks_back_to_the_first_point_and_no_further(file):
    for threshold in (0.1, 0.2, 0.3):
        save_operating_point(file, "patient", point(threshold))
    save_operating_point(file, "slice", point(0.9))
    assert [p.entry["threshold"] for p in point_history(file, "patient")] == [0.2, 0.1, 0.8]
    undone = [undo_operating_point(file, "patient").entry["threshold"] for _ in range(3)]
    assert undone == [0.2, 0.1, 0.8]
    assert undo_operating_point(file, "slice").entry is None
    assert stored(file) == EARLIER
    with pytest.raises(BundleError, match="no saved patient threshold"):
        undo_operating_point(file, "patient")


def test_thresholds_per_vertebra_are_kept_by_name(file):
    each = {name: 0.1 * j for j, name in enumerate(VERTEBRAE)}
    save_operating_point(file, "vertebra", point(0.3, per_vertebra=each))
    assert stored(file)["vertebra"]["per_vertebra"] == each
    with pytest.raises(BundleError, match=r"C1\.\.C7"):
        save_operating_point(file, "vertebra", point(0.3, per_vertebra={"C1": 0.5}))


@pytest.mark.parametrize("threshold", [math.nan, -0.1, 1.5, math.inf])
def test_an_unusable_threshold_changes_nothing(file, threshold):
    with pytest.raises(BundleError, match=r"outside \[0, 1\]"):
        save_operating_point(file, "patient", point(threshold))
    assert stored(file) == EARLIER


def test_the_history_does_not_grow_without_end(file):
    for k in range(HISTORY_LIMIT + 5):
        save_operating_point(file, "patient", point(k / 1000))
    assert len(point_history(file, "patient")) == HISTORY_LIMIT


@pytest.mark.parametrize("text", ["{", "[]", '{"history": 3}'])
def test_a_damaged_file_is_reported_and_not_changed(file, text):
    file.write_text(text)
    with pytest.raises(BundleError, match="restore it"):
        save_operating_point(file, "patient", point(0.5))
    assert file.read_text() == text


def test_the_first_point_makes_the_file_and_undo_returns_to_what_is_shipped(tmp_path):
    file = tmp_path / "new" / "points.json"
    save_operating_point(file, "patient", point(0.5, by="ada@lab.org"))
    assert stored(file)["patient"]["by"] == "ada@lab.org"
    assert undo_operating_point(file, "patient").entry is None
    assert stored(file) == {}


def test_a_write_that_fails_leaves_the_old_file(file, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(StorageError):
        save_operating_point(file, "patient", point(0.5))
    assert stored(file) == EARLIER

"""What the list of studies says of each, so that a case is found again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.models.operating_points import SavedOperatingPoint
from core.types import StudyRecord
from dashboard.studies import case_notes as module
from dashboard.studies.cohort import CurrentDataSet

PAIR = SimpleNamespace(digest="0123", fracture=None)
UNLABELLED = StudyRecord("1.2.3", Path(), None)
LABELLED = StudyRecord("1.2.4", Path(), (False, True, False, False, True, False, False))


@pytest.fixture
def place(tmp_path, monkeypatch):
    root = tmp_path / "set"
    root.mkdir()
    settings = SimpleNamespace(rsna_cache=tmp_path / "cache", cspine_var=tmp_path)
    monkeypatch.setattr(module, "settings", lambda: settings)
    folder = tmp_path / "annotations"
    folder.mkdir()
    store = SimpleNamespace(
        folder=folder, study_ids=lambda: [file.stem for file in folder.glob("*.jsonl")]
    )
    monkeypatch.setattr(module, "annotation_store", lambda: store)
    point = SavedOperatingPoint(0.5, "given", "shipped")
    monkeypatch.setattr(module, "operating_point", lambda *_: point)
    return SimpleNamespace(root=root, predictions=tmp_path / "cache" / "predictions",
                           annotations=folder)  # fmt: skip


def notes(place, *, pair=PAIR, truth=False, calls=True):
    cohort = CurrentDataSet(place.root, True, (UNLABELLED, LABELLED), None)
    return module.case_notes(cohort, pair, truth=truth, calls=calls)


def store(place, study, probs, *, call="fractured", not_seen=(), digest=PAIR.digest):
    folder = place.predictions / f"{study}-{digest}"
    folder.mkdir(parents=True)
    content = {
        "study_id": study, "n_slices": 90, "call": call, "not_seen": list(not_seen),
        "vertebrae": {f"C{j}": value for j, value in enumerate(probs, start=1)},
    }  # fmt: skip
    (folder / "predictions.json").write_text(json.dumps(content))


def test_nothing_is_said_of_what_is_unknown(place):
    assert notes(place) == {"1.2.3": "", "1.2.4": ""}


def test_slices_calls_review_and_truth_are_named(place):
    store(place, "1.2.3", (0.5, 0.49, 0.9, 0.1, 0.1, 0.1, 0.1), not_seen=["C3"])
    store(place, "1.2.4", (0.1,) * 7)
    (place.annotations / "1.2.4.jsonl").write_text("{}\n")
    assert notes(place, truth=True) == {
        "1.2.3": "90 slices · calls C1",
        "1.2.4": "90 slices · calls none · reviewed · truth C2, C5",
    }


def test_a_class_sees_neither_calls_nor_truth(place):
    store(place, "1.2.4", (0.9,) * 7)
    assert notes(place, calls=False)["1.2.4"] == "90 slices"


def test_no_level_is_called_where_no_call_is_made(place):
    store(place, "1.2.4", (0.9,) * 7, call="out of distribution")
    assert notes(place)["1.2.4"] == "90 slices · no call"


def test_the_scores_of_other_networks_do_not_count(place):
    store(place, "1.2.4", (0.9,) * 7, digest="ffff")
    assert notes(place)["1.2.4"] == ""


def test_a_prediction_that_is_being_written_appears_once_it_is_there(place):
    store(place, "1.2.4", (0.9,) * 7)
    file = place.predictions / f"1.2.4-{PAIR.digest}" / "predictions.json"
    whole = file.read_text()
    file.write_text(whole[:20])
    assert notes(place)["1.2.4"] == ""
    # The folder of all predictions does not change here, only the file within.
    file.write_text(whole)
    assert notes(place)["1.2.4"].startswith("90 slices · calls C1")

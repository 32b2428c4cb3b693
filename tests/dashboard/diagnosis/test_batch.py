"""A batch that is started again goes on, and counts only what it still has to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.inference.verdict import NO_CALL
from core.types import StudyRecord
from dashboard.diagnosis import batch
from tests.core.inference.test_verdict import pair, region, scores


def test_studies_scored_before_are_not_counted(monkeypatch):
    told, read = [], []

    class Pool:
        def submit(self, key, work, **_whose):
            work(lambda done, total: told.append((done, total)))

    def stored(folder, pair):
        if folder.name == "broken":
            raise PredictionsError("The stored table is damaged.")
        return object() if folder.name in {"a", "b"} else None

    monkeypatch.setattr(batch, "_pool", Pool)
    monkeypatch.setattr(batch, "stored_scores", stored)
    monkeypatch.setattr(batch, "predict_stored", lambda folder, pair: read.append(folder))
    records = tuple(StudyRecord(name, Path(name)) for name in ("a", "broken", "b", "c"))
    batch.start_batch(batch.StudyBatch(records, SimpleNamespace(digest="0")))
    assert [folder.name for folder in read] == ["broken", "c"]
    assert told == [(0, 2), (1, 2), (2, 2)]


def row(monkeypatch, score, answers=None, truth=True):
    fractured = (truth, *[False] * 6)
    monkeypatch.setattr(batch, "stored_scores", lambda *_: scores(score))
    found = batch._row(StudyRecord("a", Path("a"), fractured), pair(answers), None)
    columns = ["Study", "Patient", "Call", "Truth", "Right", *VERTEBRAE, "Distribution", "Problem"]
    return dict(zip(columns, found, strict=True))


def test_a_study_out_of_distribution_is_neither_right_nor_wrong(monkeypatch):
    found = row(monkeypatch, 1.5)
    assert found["Call"] is None
    assert found["Right"] is None
    assert found["Patient"] > 0.4
    assert found["Distribution"] == 1.5
    assert found["Problem"].startswith(NO_CALL)


def test_an_uncertain_call_is_a_call_with_a_remark(monkeypatch):
    found = row(monkeypatch, 0.5, region(0.1, 0.9))
    assert (found["Call"], found["Right"]) == ("fracture", "yes")
    assert found["Problem"].startswith("Uncertain")
    assert row(monkeypatch, 0.5, truth=False)["Right"] == "no"
    assert row(monkeypatch, 0.5)["Problem"] == ""

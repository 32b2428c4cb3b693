"""A batch that is started again goes on, and counts only what it still has to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from core.errors import PredictionsError
from core.types import StudyRecord
from dashboard.diagnosis import batch


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

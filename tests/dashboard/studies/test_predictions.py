"""Predictions of several server processes on one cache."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace

import pytest

from core.inference.outputs import SLICES_FILE
from core.system.shared_slots import shared_slot
from dashboard.background.job import JobCancelledError
from dashboard.studies import predictions

STUDY = SimpleNamespace(owner=None)


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A cache of its own, and networks that note their runs only."""
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path))
    folder = tmp_path / "predictions" / "study-pair"
    folder.mkdir(parents=True)
    runs = []
    monkeypatch.setattr(predictions, "_predictions_folder", lambda *_: folder)
    monkeypatch.setattr(predictions, "_predict", lambda *given: runs.append(given))
    predictions._pool.clear()
    other = partial(shared_slot, tmp_path / "slots", "predictions", 1)
    return SimpleNamespace(folder=folder, runs=runs, other_process=other)


def test_a_prediction_waits_for_that_of_another_process(place):
    with place.other_process():
        job = predictions.start_prediction(STUDY, None)
        with pytest.raises(TimeoutError):
            job.future.result(timeout=0.5)
        assert place.runs == []
    job.future.result(timeout=10)
    assert len(place.runs) == 1


def test_what_another_process_has_predicted_meanwhile_is_not_predicted_again(place):
    with place.other_process():
        job = predictions.start_prediction(STUDY, None)
        (place.folder / SLICES_FILE).write_bytes(b"table")
    job.future.result(timeout=10)
    assert place.runs == []


def test_a_damaged_table_is_predicted_again(place):
    (place.folder / SLICES_FILE).write_bytes(b"damaged")
    predictions.start_prediction(STUDY, None).future.result(timeout=10)
    assert len(place.runs) == 1


def test_a_waiting_prediction_can_be_cancelled(place):
    with place.other_process():
        job = predictions.start_prediction(STUDY, None)
        while job.started is None:
            threading.Event().wait(0.01)
        job.cancel()
        assert isinstance(job.future.exception(timeout=10), JobCancelledError)
    assert place.runs == []

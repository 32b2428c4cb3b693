from __future__ import annotations

import threading

import pytest

from core.errors import BundleError
from dashboard.prediction_jobs import PredictionQueue


def finish(job) -> None:
    job.future.exception(timeout=5)


def test_the_same_key_is_joined_while_it_runs_and_run_again_after():
    gate, runs = threading.Event(), []

    def work(progress):
        runs.append(1)
        gate.wait(5)
        progress(3, 3)

    queue = PredictionQueue()
    first = queue.submit("a", work)
    assert queue.submit("a", work) is first
    gate.set()
    finish(first)
    assert (first.finished, first.done, first.total, first.error) == (True, 3, 3, None)
    again = queue.submit("a", work)
    finish(again)
    assert again is not first
    assert len(runs) == 2


def test_a_typed_error_is_shown_word_for_word():
    def work(progress):
        raise BundleError("The weights are gone; train anew.")

    queue = PredictionQueue()
    job = queue.submit("a", work)
    finish(job)
    assert job.error == "The weights are gone; train anew."


def test_an_unforeseen_error_names_its_kind_and_not_its_text():
    def work(progress):
        raise ZeroDivisionError("Doe^Jane")

    queue = PredictionQueue()
    job = queue.submit("a", work)
    finish(job)
    said = str(job.error)
    assert "ZeroDivisionError" in said
    assert "Doe" not in said


def test_a_finished_job_can_be_forgotten_and_a_running_one_cannot():
    gate = threading.Event()
    queue = PredictionQueue()
    job = queue.submit("a", lambda progress: gate.wait(5))
    queue.forget("a")
    assert queue.find("a") is job
    gate.set()
    finish(job)
    queue.forget("a")
    assert queue.find("a") is None


def test_the_time_left_follows_the_pace_so_far():
    queue = PredictionQueue()
    job = queue.submit("a", lambda progress: progress(25, 100))
    finish(job)
    assert job.started is not None
    assert job.seconds_left(job.started + 5.0) == pytest.approx(15.0)
    fresh = queue.submit("b", lambda progress: None)
    assert fresh.seconds_left(0.0) is None

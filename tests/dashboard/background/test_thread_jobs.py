from __future__ import annotations

import threading
import time

import pytest

from core.errors import BundleError
from dashboard.background import thread_jobs
from dashboard.background.thread_jobs import JobPool


def finish(job) -> None:
    job.future.exception(timeout=5)


def test_the_same_key_is_joined_while_it_runs_and_run_again_after():
    gate, runs = threading.Event(), []

    def work(progress):
        runs.append(1)
        gate.wait(5)
        progress(3, 3)

    pool = JobPool("test")
    first = pool.submit("a", work)
    assert pool.submit("a", work) is first
    gate.set()
    finish(first)
    assert (first.finished, first.done, first.total, first.error) == (True, 3, 3, None)
    again = pool.submit("a", work)
    finish(again)
    assert again is not first
    assert len(runs) == 2


def test_a_typed_error_is_shown_word_for_word():
    def work(progress):
        raise BundleError("The weights are gone; train anew.")

    pool = JobPool("test")
    job = pool.submit("a", work)
    finish(job)
    assert job.error == "The weights are gone; train anew."


def test_an_unforeseen_error_names_its_kind_and_not_its_text():
    def work(progress):
        raise ZeroDivisionError("Doe^Jane")

    pool = JobPool("test")
    job = pool.submit("a", work)
    finish(job)
    said = str(job.error)
    assert "ZeroDivisionError" in said
    assert "Doe" not in said


def test_a_finished_job_can_be_forgotten_and_a_running_one_cannot():
    gate = threading.Event()
    pool = JobPool("test")
    job = pool.submit("a", lambda progress: gate.wait(5))
    job.forget()
    assert pool.find("a") is job
    gate.set()
    finish(job)
    job.forget()
    assert pool.find("a") is None


def test_the_time_left_follows_the_pace_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(thread_jobs.time, "monotonic", lambda: now[0])

    def work(progress):
        now[0] = 105.0
        progress(25, 100)

    pool = JobPool("test")
    job = pool.submit("a", work)
    job.future.result(timeout=5)
    assert job.seconds_left == pytest.approx(15.0)
    assert not job.is_stalled
    fresh = pool.submit("b", lambda progress: None)
    assert fresh.seconds_left is None


def test_a_place_in_line_counts_down_as_others_end():
    gates = [threading.Event() for _ in range(4)]
    pool = JobPool("test")
    jobs = [pool.submit(str(i), lambda _, gate=gate: gate.wait(5)) for i, gate in enumerate(gates)]
    while jobs[0].started is None:
        time.sleep(0.01)
    assert [job.place for job in jobs] == [0, 1, 2, 3]
    gates[0].set()
    finish(jobs[0])
    while jobs[1].started is None:
        time.sleep(0.01)
    assert [job.place for job in jobs] == [0, 0, 1, 2]
    jobs[2].cancel()
    assert jobs[3].place == 1
    for gate in gates:
        gate.set()
    finish(jobs[3])
    assert (jobs[3].place, jobs[3].ahead_of) == (0, ())


def test_a_full_queue_turns_a_job_away_in_one_sentence_and_takes_it_later():
    gate = threading.Event()
    pool = JobPool("test", most_waiting=2)
    jobs = [pool.submit(str(i), lambda _: gate.wait(5)) for i in range(3)]
    refused = pool.submit("late", lambda _: None)
    assert refused.finished
    assert refused.error == "3 jobs are waiting already; try again in a few minutes."
    gate.set()
    for job in jobs:
        finish(job)
    refused.forget()
    taken = pool.submit("late", lambda _: None)
    finish(taken)
    assert taken.error is None


def test_as_many_run_at_once_as_are_allowed():
    both = threading.Barrier(2)
    pool = JobPool("test", workers=2)
    jobs = [pool.submit(str(i), lambda _: both.wait(5)) for i in range(2)]
    for job in jobs:
        finish(job)
        assert job.error is None


def test_results_used_least_recently_go_first_and_work_under_way_stays():
    gate = threading.Event()
    pool = JobPool("test", keep=2)
    running = pool.submit("running", lambda _: gate.wait(5))
    for key in "abc":
        pool.put(key, key)
        assert pool.find("a") is not None
    assert [key for key in "abc" if pool.find(key)] == ["a", "c"]
    assert pool.find("running") is running
    gate.set()


def test_a_job_cancelled_before_it_begins_never_does():
    gate, calls = threading.Event(), []
    pool = JobPool("test")
    first = pool.submit("a", lambda _: gate.wait(5))
    second = pool.submit("b", lambda _: calls.append(1))
    second.cancel()
    gate.set()
    finish(first)
    finish(pool.submit("c", lambda _: None))
    assert "cancelled" in second.error
    assert calls == []

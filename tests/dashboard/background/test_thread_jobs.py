from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from core.errors import BundleError, TaskError
from dashboard.background import job as job_module
from dashboard.background.budget import Allowance
from dashboard.background.job import JobCancelledError, Wish
from dashboard.background.thread_jobs import JobPool, show_only
from dashboard.session import session_end
from dashboard.session.session_end import forget_session


def allowed(at_once=1, waiting=64, per_session=8) -> Allowance:
    return Allowance(at_once, waiting, per_session)


def finish(job) -> None:
    job.future.exception(timeout=5)


def test_the_same_key_is_joined_while_it_runs_and_run_again_after():
    gate, runs = threading.Event(), []

    def work(progress):
        runs.append(1)
        gate.wait(5)
        progress(3, 3)

    pool = JobPool("test", allowed())
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

    pool = JobPool("test", allowed())
    job = pool.submit("a", work)
    finish(job)
    assert job.error == "The weights are gone; train anew."


def test_an_unforeseen_error_names_its_kind_and_not_its_text():
    def work(progress):
        raise ZeroDivisionError("Doe^Jane")

    pool = JobPool("test", allowed())
    job = pool.submit("a", work)
    finish(job)
    said = str(job.error)
    assert "ZeroDivisionError" in said
    assert "Doe" not in said


def test_a_finished_job_can_be_forgotten_and_a_running_one_cannot():
    gate = threading.Event()
    pool = JobPool("test", allowed())
    job = pool.submit("a", lambda progress: gate.wait(5))
    job.forget()
    assert pool.find("a") is job
    gate.set()
    finish(job)
    job.forget()
    assert pool.find("a") is None


def test_the_time_left_follows_the_pace_so_far(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(job_module.time, "monotonic", lambda: now[0])

    def work(progress):
        now[0] = 105.0
        progress(25, 100)

    pool = JobPool("test", allowed())
    job = pool.submit("a", work)
    job.future.result(timeout=5)
    assert job.seconds_left == pytest.approx(15.0)
    assert not job.is_stalled
    fresh = pool.submit("b", lambda progress: None)
    assert fresh.seconds_left is None


def test_a_place_in_line_counts_down_as_others_end():
    gates = [threading.Event() for _ in range(4)]
    pool = JobPool("test", allowed())
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
    assert jobs[3].place == 0


def test_a_full_queue_turns_a_job_away_in_one_sentence_and_takes_it_later():
    gate = threading.Event()
    pool = JobPool("test", allowed(waiting=2))
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
    pool = JobPool("test", allowed(at_once=2))
    jobs = [pool.submit(str(i), lambda _: both.wait(5)) for i in range(2)]
    for job in jobs:
        finish(job)
        assert job.error is None


def test_results_used_least_recently_go_first_and_work_under_way_stays():
    gate = threading.Event()
    pool = JobPool("test", allowed(), keep=2)
    running = pool.submit("running", lambda _: gate.wait(5))
    for key in "abc":
        pool.put(key, key)
        assert pool.find("a") is not None
    assert [key for key in "abc" if pool.find(key)] == ["a", "c"]
    assert pool.find("running") is running
    gate.set()


def test_a_job_cancelled_before_it_begins_never_does():
    gate, calls = threading.Event(), []
    pool = JobPool("test", allowed())
    first = pool.submit("a", lambda _: gate.wait(5))
    second = pool.submit("b", lambda _: calls.append(1))
    second.cancel()
    gate.set()
    finish(first)
    finish(pool.submit("c", lambda _: None))
    assert "cancelled" in second.error
    assert calls == []


class Held:
    """An object whose end can be watched; a finished job must not keep it."""


@pytest.mark.slow
@pytest.mark.parametrize("error", [BundleError("It is gone; make it again."), ValueError("x")])
def test_a_failed_job_keeps_a_sentence_and_nothing_that_the_work_had_in_its_hands(
    error, monkeypatch
):
    # pytest keeps what is logged, with its frames.
    monkeypatch.setattr(job_module._log, "error", lambda *_, **__: None)
    pool = JobPool("test", allowed())

    def job_of(held):
        def work(progress):
            mine = held
            try:
                raise KeyError(mine)
            except KeyError as cause:
                raise error from cause

        return work

    held = Held()
    gone = weakref.ref(held)
    job = pool.submit("a", job_of(held))
    finish(job)
    for _ in range(3):
        with pytest.raises(type(error) if isinstance(error, BundleError) else TaskError):
            job.result()
    error.__traceback__ = error.__cause__ = error.__context__ = None
    del held
    gc.collect()
    assert gone() is None
    assert job.error


@pytest.mark.slow
def test_a_cancelled_job_drops_its_work_before_its_turn_comes():
    gate = threading.Event()
    pool = JobPool("test", allowed())
    pool.submit("a", lambda _: gate.wait(5))
    held = Held()
    gone = weakref.ref(held)
    job = pool.submit("b", lambda _, held=held: held)
    job.cancel()
    del held
    gc.collect()
    assert gone() is None
    gate.set()


def test_one_session_may_not_fill_the_queue_of_all():
    gate = threading.Event()
    pool = JobPool("test", allowed(per_session=2))
    for key in "ab":
        pool.submit(key, lambda _: gate.wait(5), session="greedy")
    refused = pool.submit("c", lambda _: None, session="greedy")
    other = pool.submit("d", lambda _: None, session="other")
    assert refused.error == (
        "2 jobs of this session are waiting already; wait until one has ended."
    )
    gate.set()
    finish(other)
    assert other.error is None


def test_what_a_session_alone_may_see_ends_with_it_and_shared_work_goes_on():
    begun, gate, started = threading.Event(), threading.Event(), threading.Semaphore(0)
    pool = JobPool("test", allowed(at_once=4))

    def stepwise(progress):
        begun.set()
        gate.wait(5)
        progress(1, 2)
        return "pixels"

    def unstoppable(progress):
        started.release()
        gate.wait(5)
        return "pixels"

    done = pool.put("done", "pixels", session="mine", private=True)
    running = pool.submit("running", stepwise, session="mine", private=True)
    deaf = pool.submit("deaf", unstoppable, session="mine", private=True)
    shared = pool.submit("shared", unstoppable, session="mine")
    foreign = pool.submit("foreign", unstoppable, session="other", private=True)
    begun.wait(5)
    # A job that still waits for a thread would be cancelled instead.
    assert all(started.acquire(timeout=5) for _ in range(3))
    forget_session("mine")
    gate.set()
    for job in (running, deaf, shared, foreign):
        finish(job)
    assert done.finished
    assert pool.find("done") is None
    for job in (running, deaf):
        assert job.abandoned
        with pytest.raises(JobCancelledError):
            job.result()
    assert (shared.result(), foreign.result()) == ("pixels", "pixels")
    forget_session("mine")
    assert pool.find("running") is None
    assert pool.find("foreign") is foreign


def test_no_private_work_begins_for_a_session_that_has_ended(monkeypatch):
    monkeypatch.setattr(session_end, "_ended", {"gone": None})
    pool, begun = JobPool("test", allowed()), []
    job = pool.submit("a", begun.append, session="gone", private=True)
    assert (job.finished, job.abandoned, job.error) == (True, True, str(JobCancelledError()))
    assert begun == []
    finish(pool.submit("b", begun.append, session="gone"))
    finish(pool.submit("c", begun.append, session="here", private=True))
    assert len(begun) == 2


class Steps:
    """Work that goes on in steps until it is let go, and notes the order of the begins."""

    def __init__(self):
        self.begun, self.gate = [], threading.Event()

    def work(self, name):
        def steps(progress):
            self.begun.append(name)
            while not self.gate.wait(0.01):
                progress(1, 2)
            return name

        return steps

    def wait_for(self, name):
        deadline = time.monotonic() + 5
        while name not in self.begun:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def steps():
    made = Steps()
    yield made
    made.gate.set()


def verdict(study, session="tab"):
    return Wish(session, study, "verdict")


def test_urgent_work_goes_before_what_waits_already(steps):
    pool = JobPool("test", allowed())
    pool.submit("a", steps.work("a"))
    steps.wait_for("a")
    waiting = [pool.submit(key, steps.work(key)) for key in "bc"]
    urgent = pool.submit("d", steps.work("d"), urgent=True)
    assert [urgent.place, *(job.place for job in waiting)] == [1, 2, 3]
    # What waits becomes urgent once it is asked for as such.
    assert pool.submit("c", steps.work("c"), urgent=True) is waiting[1]
    assert [urgent.place, *(job.place for job in waiting)] == [2, 3, 1]
    steps.gate.set()
    for job in (urgent, *waiting):
        finish(job)
    assert steps.begun == ["a", "c", "d", "b"]


def test_the_study_on_the_screen_does_not_wait_for_those_that_were_skipped(steps):
    pool = JobPool("test", allowed())
    skipped = []
    for study in "abc":
        show_only("tab", study)
        skipped.append(pool.submit(study, steps.work(study), wish=verdict(study)))
        if study == "a":
            steps.wait_for("a")
    show_only("tab", "d")
    shown = pool.submit("d", steps.work("d"), wish=verdict("d"))
    steps.wait_for("d")
    for job in skipped:
        assert job.finished
        assert job.error
        # Opened again, a skipped study is scored; no error of before is in the way.
        assert pool.find(job.key) is None
    assert steps.begun[0] == "a"
    assert steps.begun[-1] == "d"
    assert "c" not in steps.begun
    steps.gate.set()
    assert shown.future.result(timeout=5) == "d"


def test_a_run_that_nobody_looks_at_goes_on_until_another_one_waits(steps):
    pool = JobPool("test", allowed())
    left = pool.submit("a", steps.work("a"), wish=verdict("a"))
    steps.wait_for("a")
    show_only("tab", "b")
    time.sleep(0.05)
    assert not left.finished
    assert pool.submit("a", steps.work("a"), wish=verdict("a")) is left
    other = pool.submit("other", steps.work("other"))
    time.sleep(0.05)
    # It is on the screen again.
    assert not left.finished
    show_only("tab", "b")
    steps.wait_for("other")
    assert isinstance(left.future.exception(timeout=5), JobCancelledError)
    assert not other.finished


def test_what_another_session_shows_goes_on(steps):
    pool = JobPool("test", allowed())
    pool.submit("first", steps.work("first"))
    shared = pool.submit("a", steps.work("a"), wish=verdict("a", "one"))
    pool.submit("a", steps.work("a"), wish=verdict("a", "two"))
    show_only("one", "b")
    pool.withdraw("one", "a")
    assert pool.find("a") is shared
    assert not shared.finished
    forget_session("two")
    assert shared.finished
    assert pool.find("a") is None


def test_other_networks_replace_those_that_were_chosen_before_and_not_second_opinions(steps):
    pool = JobPool("test", allowed())
    pool.submit("first", steps.work("first"))
    beside = pool.submit("a x", steps.work("x"), wish=Wish("tab", "a", "beside x"))
    chosen = pool.submit("a y", steps.work("y"), wish=verdict("a"))
    now = pool.submit("a z", steps.work("z"), wish=verdict("a"))
    assert [job.finished for job in (beside, chosen, now)] == [False, True, False]


def test_a_run_ends_at_once_if_its_only_session_cancels_it(steps):
    pool = JobPool("test", allowed())
    job = pool.submit("a", steps.work("a"), wish=verdict("a"))
    steps.wait_for("a")
    pool.withdraw("tab", "a")
    assert pool.find("a") is None
    assert isinstance(job.future.exception(timeout=5), JobCancelledError)
    unwanted = pool.submit("b", steps.work("b"))
    pool.withdraw("tab", "b")
    assert not unwanted.finished

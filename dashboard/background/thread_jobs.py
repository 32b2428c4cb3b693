"""Predictions in the background, one at a time, so that slices can be browsed meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from core.errors import CSpineError, TaskError
from core.types import Progress

Work = Callable[[Progress], None]

_log = logging.getLogger(__name__)


class JobCancelledError(CSpineError):
    """A job that was asked to end."""

    def __init__(self) -> None:
        super().__init__("The work was cancelled; what was finished is kept.")


@dataclass(slots=True, eq=False)
class PredictionJob:
    """One prediction and how far it has come; written by its thread, read by any page.

    Attributes:
        done: Slices finished.
        total: Slices in all; 0 until the first batch is through.
        started: `time.monotonic()` when the first batch began, None before.
        future: Set once submitted.
        ahead_of: Jobs that were submitted to the queue before and had not ended then.
        cancelled: Whether somebody asked it to end.
    """

    done: int = 0
    total: int = 0
    started: float | None = None
    future: Future[None] | None = field(default=None, repr=False)
    cancelled: bool = False
    ahead_of: tuple[PredictionJob, ...] = field(default=(), repr=False)

    def cancel(self) -> None:
        """Have the job end at its next step; one that has not begun never does."""
        self.cancelled = True
        if self.future is not None:
            self.future.cancel()

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen, for good or ill."""
        return self.future is not None and self.future.done()

    @property
    def place(self) -> int:
        """Jobs that came before and have not ended; 0 once this one has begun."""
        if self.started is not None or self.finished:
            return 0
        return sum(not job.finished for job in self.ahead_of)

    @property
    def error(self) -> str | None:
        """One sentence for the reader; None while running and after success."""
        if self.future is None or not self.future.done():
            return None
        if self.future.cancelled():
            return str(JobCancelledError())
        problem = self.future.exception()
        if problem is None:
            return None
        if isinstance(problem, CSpineError | OSError):
            return str(problem)
        return (
            f"The prediction stopped unexpectedly ({type(problem).__name__}); "
            "the terminal that runs the dashboard shows where."
        )

    def report(self, done: int, total: int) -> None:
        """Take note of progress; called from the job's thread.

        Raises:
            JobCancelledError: Somebody asked the job to end.
        """
        if self.cancelled:
            raise JobCancelledError
        self.done, self.total = done, total

    def seconds_left(self, now: float) -> float | None:
        """Time to go at the pace so far; None before there is a pace."""
        if self.started is None or self.done == 0:
            return None
        return (now - self.started) / self.done * (self.total - self.done)


class PredictionQueue:
    """Runs predictions in the order of their coming; the same key is never run twice at once.

    Args:
        at_once: Jobs that run at the same time.
        most_waiting: Jobs that may wait; further ones fail at once and say so.
    """

    def __init__(self, at_once: int = 1, most_waiting: int = 64) -> None:
        self._pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="prediction")
        self._most = at_once + most_waiting
        self._jobs: dict[str, PredictionJob] = {}
        self._lock = Lock()

    def find(self, key: str) -> PredictionJob | None:
        """The job of this key, running or finished."""
        with self._lock:
            return self._jobs.get(key)

    def submit(self, key: str, work: Work) -> PredictionJob:
        """Start `work`, or join the job that already does it.

        Args:
            key: Names the result; a finished job of the same key is replaced.
            work: Called with a progress callback in another thread.
        """
        with self._lock:
            known = self._jobs.get(key)
            if known is not None and not known.finished:
                return known
            unfinished = tuple(one for one in self._jobs.values() if not one.finished)
            job = PredictionJob(ahead_of=unfinished)
            if len(unfinished) < self._most:
                job.future = self._pool.submit(_run, job, work)
            else:
                job.future = _turned_away(len(unfinished))
            job.future.add_done_callback(_log_failure)
            self._jobs[key] = job
            return job

    def forget(self, key: str) -> None:
        """Drop a finished job, so that its error is shown no more."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.finished:
                del self._jobs[key]


def _turned_away(waiting: int) -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(
        TaskError(f"{waiting} studies are waiting to be read already; try again in a few minutes.")
    )
    return future


def _run(job: PredictionJob, work: Work) -> None:
    job.started = time.monotonic()
    job.ahead_of = ()
    work(job.report)


def _log_failure(future: Future[None]) -> None:
    if future.cancelled():
        return
    problem = future.exception()
    if problem is not None and not isinstance(problem, CSpineError):
        _log.error("A prediction failed.", exc_info=problem)

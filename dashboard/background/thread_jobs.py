"""Jobs in background threads by key: shared, with progress, cancellation and kept results."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, TypeVar

from core.errors import CSpineError, TaskError
from core.types import Progress
from dashboard.background.pace import Pace

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class JobCancelledError(CSpineError):
    """The job was cancelled."""

    def __init__(self) -> None:
        super().__init__("The work was cancelled; finished parts are kept.")


@dataclass(slots=True, eq=False)
class Job(Generic[Result]):
    """A job and its progress; written by its thread, read by any page.

    Attributes:
        key: Key of the result.
        pool: Pool that runs the job.
        ahead_of: Unfinished jobs that were submitted to the pool before this one.
        future: Future result.
        done: Steps finished.
        total: Steps in all; 0 until the first report.
        started: `time.monotonic()` when the work began, None before.
        cancelled: Whether the job was asked to end.
        pace: Pace of the steps.
    """

    key: str
    pool: JobPool = field(repr=False)
    ahead_of: tuple[Job[Any], ...] = field(default=(), repr=False)
    future: Future[Result] = field(default_factory=Future, repr=False)
    done: int = 0
    total: int = 0
    started: float | None = None
    cancelled: bool = False
    pace: Pace = field(default_factory=Pace, repr=False)

    def cancel(self) -> None:
        """End the job at its next step; a job that has not begun never starts."""
        self.cancelled = True
        if self.future.cancel():
            self.ahead_of = ()

    def forget(self) -> None:
        """Drop the finished job from the pool, so that its error is not shown any more."""
        self.pool.forget(self.key)

    @property
    def finished(self) -> bool:
        """Whether the job has ended, with or without success."""
        return self.future.done()

    @property
    def place(self) -> int:
        """Number of unfinished jobs ahead in the queue; 0 once this one has begun."""
        if self.started is not None or self.finished:
            return 0
        return sum(not job.finished for job in self.ahead_of)

    @property
    def error(self) -> str | None:
        """Error message for the page; None while running and after success."""
        if not self.finished:
            return None
        if self.future.cancelled():
            return str(JobCancelledError())
        problem = self.future.exception()
        if problem is None or isinstance(problem, CSpineError | OSError):
            return None if problem is None else str(problem)
        return (
            f"The work stopped unexpectedly ({type(problem).__name__}); "
            "the terminal that runs the dashboard shows where."
        )

    @property
    def seconds_left(self) -> float | None:
        """Estimated remaining time; None before the first step."""
        return self.pace.seconds_left(self.total, time.monotonic())

    @property
    def is_stalled(self) -> bool:
        """Whether the current step takes far longer than the ones before it."""
        return not self.finished and self.pace.is_stalled(time.monotonic())

    def report(self, done: int, total: int) -> None:
        """Record progress; called from the job's thread.

        Raises:
            JobCancelledError: The job was asked to end.
        """
        if self.cancelled:
            raise JobCancelledError
        self.done, self.total = done, total
        self.pace.report(done, time.monotonic())

    def run(self, work: Callable[[Progress], Result]) -> None:
        """Do the work in this thread, unless the job was cancelled before."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.started = time.monotonic()
        self.pace.report(0, self.started)
        self.ahead_of = ()
        try:
            result = work(self.report)
        except BaseException as problem:  # noqa: BLE001 - raised to the caller of the result
            if not isinstance(problem, CSpineError):
                _log.error("Background work failed.", exc_info=problem)
            self.future.set_exception(problem)
        else:
            self.future.set_result(result)


class JobPool:
    """Runs jobs in the order of submission; jobs of the same key never run at the same time.

    Args:
        name: Name of the threads.
        workers: Number of jobs that run at the same time.
        most_waiting: Number of jobs that may wait; further ones fail at once.
        keep: Number of finished jobs kept; the least recently used are dropped first.
    """

    def __init__(
        self, name: str, workers: int = 1, *, most_waiting: int = 64, keep: int = 64
    ) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._most, self._keep = workers + most_waiting, keep
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._lock = Lock()

    @property
    def busy(self) -> bool:
        """Whether a job is waiting or running."""
        with self._lock:
            return any(not job.finished for job in self._jobs.values())

    def find(self, key: str) -> Job[Any] | None:
        """The job of a key, running or finished; None if there is none."""
        with self._lock:
            if key in self._jobs:
                self._jobs.move_to_end(key)
            return self._jobs.get(key)

    def submit(self, key: str, work: Callable[[Progress], Result]) -> Job[Result]:
        """Start a job, or join the running job of the same key.

        Args:
            key: Key of the result; a finished job of the same key is replaced.
            work: Called with a progress callback in another thread.
        """
        with self._lock:
            known = self._jobs.get(key)
            if known is not None and not known.finished:
                return known
            unfinished = tuple(one for one in self._jobs.values() if not one.finished)
            job: Job[Result] = self._add(Job(key, self, unfinished))
            if len(unfinished) >= self._most:
                job.ahead_of = ()
                job.future.set_exception(
                    TaskError(
                        f"{len(unfinished)} jobs are waiting already; try again in a few minutes."
                    )
                )
            else:
                self._pool.submit(job.run, work)
            return job

    def put(self, key: str, result: Result) -> Job[Result]:
        """Keep a result from elsewhere, for example from disk."""
        with self._lock:
            job: Job[Result] = self._add(Job(key, self))
            job.future.set_result(result)
            return job

    def forget(self, key: str) -> None:
        """Drop a finished job."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.finished:
                del self._jobs[key]

    def _add(self, job: Job[Result]) -> Job[Result]:
        self._jobs.pop(job.key, None)
        finished = [key for key, one in self._jobs.items() if one.finished]
        for key in finished[: max(len(finished) + 1 - self._keep, 0)]:
            del self._jobs[key]
        self._jobs[job.key] = job
        return job

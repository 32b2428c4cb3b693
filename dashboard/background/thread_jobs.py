"""Jobs in background threads by key: shared, with progress, cancellation and kept results."""

from __future__ import annotations

import copy
import logging
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from core.errors import CSpineError, TaskError
from core.types import Progress
from dashboard.background.budget import Allowance
from dashboard.background.pace import Pace
from dashboard.session.session_end import at_session_end, forget_session, has_ended

Result = TypeVar("Result")

_log = logging.getLogger(__name__)
_pools: Final[weakref.WeakSet[JobPool]] = weakref.WeakSet()


class JobCancelledError(CSpineError):
    """The job was cancelled."""

    def __init__(self) -> None:
        super().__init__("The work was cancelled; finished parts are kept.")

    def __reduce__(self) -> tuple[type[JobCancelledError], tuple[()]]:
        """Copy without arguments, as it is made."""
        return JobCancelledError, ()


@dataclass(slots=True, eq=False)
class Job(Generic[Result]):
    """A job and its progress; written by its thread, read by any page.

    Attributes:
        key: Key of the result.
        pool: Pool that runs the job.
        session: Session that asked for it; "" if none did.
        private: Whether it is about that session's own data, and ends with it.
        work: Work that has not begun; dropped when it begins or is cancelled.
        ahead_of: Unfinished jobs that were submitted to the pool before this one.
        future: Future result.
        done: Steps finished.
        total: Steps in all; 0 until the first report.
        started: `time.monotonic()` when the work began, None before.
        cancelled: Whether the job was asked to end.
        pace: Pace of the steps.
        abandoned: Whether its session ended before it did.
    """

    key: str
    pool: JobPool = field(repr=False)
    session: str = ""
    private: bool = False
    work: Callable[[Progress], Result] | None = field(default=None, repr=False)
    ahead_of: tuple[Job[Any], ...] = field(default=(), repr=False)
    future: Future[Result] = field(default_factory=Future, repr=False)
    done: int = 0
    total: int = 0
    started: float | None = None
    cancelled: bool = False
    pace: Pace = field(default_factory=Pace, repr=False)
    abandoned: bool = False

    def cancel(self) -> None:
        """End the job at its next step; a job that has not begun never starts."""
        self.cancelled = True
        if self.future.cancel():
            self.ahead_of, self.work = (), None

    def abandon(self) -> None:
        """Cancel the job because its session has ended; its result is not kept."""
        self.abandoned = True
        self.cancel()

    def result(self) -> Result:
        """Result of the finished job.

        Raises:
            CSpineError, OSError: What the work raised, without the frames it went through.
        """
        problem = self.future.exception()
        if problem is not None:
            # A copy: an exception collects the frames of everyone to whom it is raised.
            raise copy.copy(problem)
        return self.future.result()

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
        return None if problem is None else str(problem)

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

    def run(self) -> None:
        """Do the work in this thread, unless the job was cancelled before."""
        if not self.future.set_running_or_notify_cancel():
            return
        self.started = time.monotonic()
        self.pace.report(0, self.started)
        work, self.work = self.work, None
        self.ahead_of = ()
        assert work is not None
        try:
            result = work(self.report)
            if self.abandoned:
                raise JobCancelledError
        except BaseException as problem:  # noqa: BLE001 - raised to the caller of the result
            self.future.set_exception(_without_frames(problem))
        else:
            self.future.set_result(result)
        if self.abandoned:
            # Its files may have been written after those of the session were removed.
            forget_session(self.session)


def _without_frames(problem: BaseException) -> BaseException:
    """What a finished job keeps of an error: a sentence.

    Frames would keep everything that the work had in its hands, for example a whole upload.
    """
    if isinstance(problem, CSpineError | OSError):
        return copy.copy(problem)
    _log.error("Background work failed.", exc_info=problem)
    return TaskError(
        f"The work stopped unexpectedly ({type(problem).__name__}); "
        "the terminal that runs the dashboard shows where."
    )


class JobPool:
    """Runs jobs in the order of submission; jobs of the same key never run at the same time.

    Args:
        name: Name of the threads.
        allowed: Number of jobs that run and wait; further ones fail at once.
        keep: Number of finished jobs kept; the least recently used are dropped first.
    """

    def __init__(self, name: str, allowed: Allowance, *, keep: int = 64) -> None:
        self._pool = ThreadPoolExecutor(allowed.at_once, thread_name_prefix=name)
        self._allowed, self._keep = allowed, keep
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._lock = Lock()
        _pools.add(self)

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

    def submit(
        self,
        key: str,
        work: Callable[[Progress], Result],
        *,
        session: str = "",
        private: bool = False,
    ) -> Job[Result]:
        """Start a job, or join the running job of the same key.

        Args:
            key: Key of the result; a finished job of the same key is replaced.
            work: Called with a progress callback in another thread.
            session: Session that asks for it; "" for none, which has no limit of its own.
            private: Whether the job and its result end with that session.
        """
        with self._lock:
            known = self._jobs.get(key)
            if known is not None and not known.finished:
                return known
            unfinished = tuple(one for one in self._jobs.values() if not one.finished)
            job: Job[Result] = self._add(Job(key, self, session, private, work, unfinished))
            if (refusal := self._refusal(unfinished, session)) is not None:
                job.ahead_of, job.work = (), None
                job.future.set_exception(TaskError(refusal))
            elif private and has_ended(session):
                # Its page was still being drawn: what the job writes would be nobody's.
                job.abandon()
            else:
                self._pool.submit(job.run)
            return job

    def _refusal(self, unfinished: tuple[Job[Any], ...], session: str) -> str | None:
        if len(unfinished) >= self._allowed.at_once + self._allowed.waiting:
            return f"{len(unfinished)} jobs are waiting already; try again in a few minutes."
        own = sum(job.session == session for job in unfinished)
        if session and own >= self._allowed.per_session:
            return f"{own} jobs of this session are waiting already; wait until one has ended."
        return None

    def put(
        self, key: str, result: Result, *, session: str = "", private: bool = False
    ) -> Job[Result]:
        """Keep a result from elsewhere, for example from disk; arguments as for `submit`."""
        with self._lock:
            job: Job[Result] = self._add(Job(key, self, session, private))
            job.future.set_result(result)
            return job

    def end_session(self, session: str) -> None:
        """Cancel the private jobs of a session and drop those that have finished."""
        with self._lock:
            own = [job for job in self._jobs.values() if job.private and job.session == session]
            for job in own:
                if job.finished:
                    del self._jobs[job.key]
        for job in own:
            if not job.finished:
                job.abandon()

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


@at_session_end
def _end_jobs(session: str) -> None:
    for pool in list(_pools):
        pool.end_session(session)

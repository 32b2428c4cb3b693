"""A job in a background thread: its progress, its result and who wants it."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from core.errors import CSpineError, TaskError
from core.types import Progress
from dashboard.background.pace import Pace
from dashboard.session.session_end import forget_session

if TYPE_CHECKING:
    from dashboard.background.thread_jobs import JobPool

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class JobCancelledError(CSpineError):
    """The job was cancelled."""

    def __init__(self) -> None:
        super().__init__("The work was cancelled; finished parts are kept.")

    def __reduce__(self) -> tuple[type[JobCancelledError], tuple[()]]:
        """Copy without arguments, as it is made."""
        return JobCancelledError, ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session wants a job for.

    Attributes:
        session: Streamlit's id of the session.
        study: Fingerprint of the study on its screen.
        what: Kind of work; a session wants one job of each kind from a pool.
    """

    session: str
    study: str
    what: str


@dataclass(slots=True, eq=False)
class Job(Generic[Result]):
    """A job and its progress; written by its thread, read by any page.

    Attributes:
        key: Key of the result.
        pool: Pool that runs the job.
        session: Session that asked for it; "" if none did.
        private: Whether it is about that session's own data, and ends with it.
        work: Work that has not begun; dropped when it begins or is cancelled.
        future: Future result.
        done: Steps finished.
        total: Steps in all; 0 until the first report.
        started: `time.monotonic()` when the work began, None before.
        cancelled: Whether the job was asked to end.
        pace: Pace of the steps.
        abandoned: Whether its session ended before it did.
        wishes: What the job is wanted for, by sessions that have a study on the screen.
        urgent: Whether it goes before waiting jobs that are not.
        unwanted: Whether it runs on although nobody wants it any more.
    """

    key: str
    pool: JobPool = field(repr=False)
    session: str = ""
    private: bool = False
    work: Callable[[Progress], Result] | None = field(default=None, repr=False)
    future: Future[Result] = field(default_factory=Future, repr=False)
    done: int = 0
    total: int = 0
    started: float | None = None
    cancelled: bool = False
    pace: Pace = field(default_factory=Pace, repr=False)
    abandoned: bool = False
    wishes: set[Wish] = field(default_factory=set)
    urgent: bool = False
    unwanted: bool = False

    def cancel(self) -> None:
        """End the job at its next step; a job that has not begun never starts."""
        self.cancelled = True
        if self.future.cancel():
            self.work = None

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
        return self.pool.place_of(self)

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

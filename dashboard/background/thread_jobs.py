"""Jobs in background threads by key: shared, in order, with cancellation and kept results."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final, TypeVar

from core.errors import TaskError
from core.system.freed_memory import return_freed_memory
from core.types import Progress
from dashboard.background.budget import Allowance
from dashboard.background.job import Job, Wish
from dashboard.session.session_end import at_session_end, has_ended

Result = TypeVar("Result")

_pools: Final[weakref.WeakSet[JobPool]] = weakref.WeakSet()


class JobPool:
    """Runs urgent jobs first, and jobs in the order of submission; each key once at a time.

    A job that a session wanted for the study on its screen ends once no session wants it: at once
    if it waits, and if it runs, as soon as another job waits.

    Args:
        name: Name of the threads.
        allowed: Number of jobs that run and wait; further ones fail at once.
        keep: Number of finished jobs kept; the least recently used are dropped first.
    """

    def __init__(self, name: str, allowed: Allowance, *, keep: int = 64) -> None:
        self._pool = ThreadPoolExecutor(allowed.at_once, thread_name_prefix=name)
        self._allowed, self._keep = allowed, keep
        self._jobs: OrderedDict[str, Job[Any]] = OrderedDict()
        self._waiting: list[Job[Any]] = []
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
        wish: Wish | None = None,
        urgent: bool = False,
    ) -> Job[Result]:
        """Start a job, or join the running job of the same key.

        Args:
            key: Key of the result; a finished job of the same key is replaced.
            work: Called with a progress callback in another thread.
            session: Session that asks for it; "" for none, which has no limit of its own.
            private: Whether the job and its result end with that session.
            wish: What the job is wanted for; it takes the place of an earlier wish of this session
                for other work of this kind. None for a job that ends by itself only.
            urgent: Whether the job goes before waiting ones that are not.
        """
        with self._lock:
            if wish is not None:
                self._drop(lambda old: old.session == wish.session and old.what == wish.what, key)
            known = self._jobs.get(key)
            if known is not None and not known.finished:
                self._want(known, wish)
                known.urgent |= urgent
                return known
            refusal = self._refusal(session)
            job: Job[Result] = self._add(Job(key, self, session, private, work, urgent=urgent))
            if refusal is not None:
                job.work = None
                job.future.set_exception(TaskError(refusal))
                return job
            if private and has_ended(session):
                # Its page was still being drawn: what the job writes would be nobody's.
                job.abandon()
                return job
            self._want(job, wish)
            self._waiting.append(job)
            self._pool.submit(self._run_next)
            self._make_room()
            return job

    def _refusal(self, session: str) -> str | None:
        unfinished = [job for job in self._jobs.values() if not job.finished]
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

    def keep_only(self, session: str, study: str) -> None:
        """Drop the wishes of a session for other studies than the one on its screen."""
        with self._lock:
            self._drop(lambda wish: wish.session == session and wish.study != study)

    def withdraw(self, session: str, key: str) -> None:
        """Drop the wishes of a session for a job, which ends at once if no other one wants it."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or not any(wish.session == session for wish in job.wishes):
                return
            job.wishes = {wish for wish in job.wishes if wish.session != session}
            if not job.wishes and not job.finished:
                self._end(job)

    def place_of(self, job: Job[Any]) -> int:
        """Number of unfinished jobs ahead of one; 0 once it has begun."""
        with self._lock:
            if job not in self._waiting or job.finished:
                return 0
            ahead = self._in_order()
            waiting = sum(not one.finished for one in ahead[: ahead.index(job)])
            jobs = self._jobs.values()
            return waiting + sum(not one.finished and one not in ahead for one in jobs)

    def end_session(self, session: str) -> None:
        """Cancel the private jobs of a session, drop those that have finished, and its wishes."""
        with self._lock:
            self._drop(lambda wish: wish.session == session)
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

    @staticmethod
    def _want(job: Job[Any], wish: Wish | None) -> None:
        if wish is not None:
            job.wishes.add(wish)
            job.unwanted = False

    def _in_order(self) -> list[Job[Any]]:
        return sorted(self._waiting, key=lambda job: not job.urgent)

    def _run_next(self) -> None:
        with self._lock:
            ahead = self._in_order()
            if ahead:
                self._waiting.remove(ahead[0])
        if ahead:
            ahead[0].run()
            if not self.busy:
                return_freed_memory()

    def _drop(self, is_over: Callable[[Wish], bool], kept: str = "") -> None:
        """Drop the wishes that are over, except for the job of the key `kept`."""
        for job in [job for job in self._jobs.values() if job.key != kept]:
            left = {wish for wish in job.wishes if not is_over(wish)}
            unwanted = bool(job.wishes) and not left and not job.finished
            if unwanted and job in self._waiting:
                self._end(job)
            elif unwanted:
                job.unwanted = True
            job.wishes = left
        self._make_room()

    def _make_room(self) -> None:
        """End running jobs that nobody wants any more, if others wait."""
        if any(not job.finished for job in self._waiting):
            for job in [job for job in self._jobs.values() if job.unwanted and not job.finished]:
                self._end(job)

    def _end(self, job: Job[Any]) -> None:
        """Cancel a job and drop it, so that the same work can be asked for again."""
        if job in self._waiting:
            self._waiting.remove(job)
        job.cancel()
        del self._jobs[job.key]

    def _add(self, job: Job[Result]) -> Job[Result]:
        self._jobs.pop(job.key, None)
        finished = [key for key, one in self._jobs.items() if one.finished]
        for key in finished[: max(len(finished) + 1 - self._keep, 0)]:
            del self._jobs[key]
        self._jobs[job.key] = job
        return job


def show_only(session: str, study: str) -> None:
    """Drop what a session wants of other studies than the one on its screen, in every pool.

    Args:
        session: Streamlit's id of the session.
        study: Fingerprint of the study.
    """
    for pool in list(_pools):
        pool.keep_only(session, study)


@at_session_end
def _end_jobs(session: str) -> None:
    for pool in list(_pools):
        pool.end_session(session)

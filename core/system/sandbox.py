"""Run a function in a separate process that may be killed: for untrusted files.

A decoder given a crafted file may ask for all memory, never return, or crash its process. Here it
affects only a child process. The child is kept from call to call, as its imports cost a second;
after it was killed the next call starts another. Requests and answers are JSON: nothing from the
child is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from core import errors
from core.config import PROJECT_ROOT
from core.errors import CSpineError, DicomSeriesError, WorkerError
from core.system.process_limits import (
    Limits,
    ProcessCount,
    end_with_children,
    has_ended,
    scrubbed_environment,
)
from core.types import Progress

Task = Callable[[Mapping[str, Any], Progress], Any]
"""Takes a JSON object and a progress callback; returns a JSON value."""

_POLL_SECONDS: Final = 0.25
_START_SECONDS: Final = 180.0


class ConfinedWorker:
    """One child process for one task, started at the first call and kept until it is closed.

    Calls from several threads run one after the other.
    """

    def __init__(self, task: Task, limits: Limits) -> None:
        """Prepare the worker without starting its child.

        Args:
            task: Top-level function of a module; the child imports it by name.
            limits: Limits of each call.
        """
        self._name = f"{task.__module__}:{task.__qualname__}"
        self._limits = limits
        self._turn = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ready = False

    @property
    def pid(self) -> int | None:
        """Process id of the child; None if there is none."""
        return None if self._child is None else self._child.pid

    def call(self, request: Mapping[str, Any], progress: Progress | None = None) -> Any:  # noqa: ANN401
        """Run the task in the child.

        Args:
            request: A JSON object.
            progress: Called with the task's progress, and again every quarter of a second; an
                exception from it ends the call and the child.

        Raises:
            CSpineError: Raised by the task.
            WorkerError: The child died, ran out of memory or time, or failed on the request.
        """
        with self._turn:
            try:
                self._wait_until_ready()
                self._send(request)
                kind, *content = self._answer(progress)
            except BaseException:
                # Nobody waits for the child's answer any more.
                self._kill()
                raise
        if kind == "value":
            return content[0]
        raise _error(kind, content)

    def start(self) -> None:
        """Start the child ahead of its first call, without waiting for it."""
        with self._turn:
            self._start()

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._kill()

    def _start(self) -> None:
        if self._child is not None and not has_ended(self._child):
            return
        self._kill()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "core.system.sandbox_child", self._name,
             json.dumps(asdict(self._limits))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=PROJECT_ROOT, env=scrubbed_environment(), text=True, encoding="utf-8",
            start_new_session=True,
        )  # fmt: skip
        self._processes = ProcessCount(self._child.pid, self._limits)
        self._lines, self._ready = queue.SimpleQueue(), False
        threading.Thread(target=_pump, args=(self._child.stdout, self._lines), daemon=True).start()

    def _wait_until_ready(self) -> None:
        self._start()
        if not self._ready and self._next(time.monotonic() + _START_SECONDS, None) is None:
            raise WorkerError(
                "The process that reads untrusted files does not start; set the program up again "
                "with `make setup`."
            )
        self._ready = True

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except OSError:
            raise _broken() from None

    def _answer(self, progress: Progress | None) -> list[Any]:
        """Wait for the answer to a request and report progress meanwhile."""
        deadline = time.monotonic() + self._limits.seconds
        reported = _RepeatedProgress(progress)
        while (line := self._next(deadline, reported)) is not None:
            answer: list[Any] = json.loads(line)
            if answer[0] != "progress":
                return answer
            reported(*answer[1:])
        if time.monotonic() < deadline:
            raise _broken()
        raise WorkerError(
            f"Reading these files took more than {self._limits.seconds:.0f} s and was stopped; "
            "export the series again, or give one series at a time."
        )

    def _next(self, deadline: float, reported: _RepeatedProgress | None) -> str | None:
        """Wait for a line from the child; None if it ended or the time is over."""
        while (left := deadline - time.monotonic()) > 0:
            self._processes.check()
            try:
                return self._lines.get(timeout=min(left, _POLL_SECONDS)) or None
            except queue.Empty:
                if reported is not None:
                    reported.again()
        return None

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        end_with_children(child)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class ConfinedWorkers:
    """Several children for one task, so that a file that takes long holds up one of them only.

    Args:
        task: As for `ConfinedWorker`.
        limits: Limits of each call.
        lanes: Number of calls that run at the same time; each has its own child.
    """

    def __init__(self, task: Task, limits: Limits, lanes: int) -> None:
        self._all = [ConfinedWorker(task, limits) for _ in range(lanes)]
        self._free: queue.LifoQueue[ConfinedWorker] = queue.LifoQueue()
        for worker in self._all:
            self._free.put(worker)

    def call(self, request: Mapping[str, Any], progress: Progress | None = None) -> Any:  # noqa: ANN401
        """Run the task in a free child, as `ConfinedWorker.call` does; waits for one."""
        worker = self._free.get()
        try:
            return worker.call(request, progress)
        finally:
            self._free.put(worker)

    def start(self) -> None:
        """Start a child ahead of the first call, unless all are at work."""
        with contextlib.suppress(queue.Empty):
            worker = self._free.get_nowait()
            try:
                worker.start()
            finally:
                self._free.put(worker)

    def close(self) -> None:
        """End the children."""
        for worker in self._all:
            worker.close()


class _RepeatedProgress:
    """A progress callback whose last call can be repeated while nothing new comes."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._last: tuple[int, int] | None = None

    def __call__(self, done: int, total: int) -> None:
        self._last = (done, total)
        self.again()

    def again(self) -> None:
        if self._progress is not None and self._last is not None:
            self._progress(*self._last)


def _broken() -> WorkerError:
    return WorkerError(
        "The process that reads these files failed and was ended; export the series again "
        "from its source."
    )


def _pump(stream: IO[str] | None, lines: queue.SimpleQueue[str]) -> None:
    """Forward the child's output lines; an empty line marks its end."""
    with contextlib.suppress(OSError, ValueError):
        for line in stream or ():
            lines.put(line)
    lines.put("")


def _error(kind: str, content: list[Any]) -> CSpineError:
    """Rebuild the error that the child reported."""
    known = getattr(errors, kind, None)
    if known is DicomSeriesError:
        path, problem, remedy, study = content
        return DicomSeriesError(Path(path), problem, remedy, Path(study) if study else None)
    if isinstance(known, type) and issubclass(known, CSpineError):
        return known(*content)
    if kind == "MemoryError":
        return WorkerError(
            "Reading these files needs more memory than it may take (UPLOAD_MEMORY_MIB); give one "
            "series of ordinary size."
        )
    return _broken()

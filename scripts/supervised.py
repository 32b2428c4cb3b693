"""Processes that are started again when they end, and stopped together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Final

from scripts.install import ROOT, SetupError

STOP_SECONDS: Final = 10.0
SHORT_SECONDS: Final = 10.0
"""A process that ends sooner counts as failed."""
MOST_FAILURES: Final = 5
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


class Supervised:
    """A process that is started again when it ends.

    Args:
        name: Name in messages.
        command: Program and arguments.
        environment: Variables that it has in addition to this process's.
        stdout: Where its output goes; None for this process's. Errors go to this process's.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        stdout: int | IO[str] | None = None,
    ) -> None:
        self.name = name
        self._command, self._stdout = list(command), stdout
        self._environment = {**os.environ, **(environment or {})}
        self._failures = 0
        self._restart_at: float | None = None
        self.start()

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: The program cannot be run.
        """
        self._started = time.monotonic()
        # A session of its own: Ctrl-C reaches the supervisor only, which then stops all in order.
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=self._stdout, start_new_session=True,
        )  # fmt: skip

    def restart_if_ended(self) -> None:
        """Start the process again if it has ended; after failures with a growing delay.

        Raises:
            SetupError: It has failed several times in a row.
        """
        status = self.process.poll()
        if status is None:
            return
        now = time.monotonic()
        if self._restart_at is None:
            self._restart_at = now + self._delay(now - self._started)
            print(f"{self.name} ended (status {status}) and is started again.", file=sys.stderr)
        if now >= self._restart_at:
            self._restart_at = None
            self.start()

    def _delay(self, lasted: float) -> float:
        """Seconds until the next start of a process that has lasted so long."""
        if lasted >= SHORT_SECONDS:
            self._failures = 0
            return 0.0
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise SetupError(
                f"{self.name} ended {MOST_FAILURES} times in a row soon after its start; the lines "
                "above may say why."
            )
        return 0.5 * 2**self._failures

    def stop(self) -> None:
        """Ask the process to end; `await_end` waits for it."""
        if self.process.poll() is None:
            self.process.terminate()

    def await_end(self, deadline: float) -> None:
        """Wait until `time.monotonic()` is `deadline`, then kill the process."""
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.05))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that signals to end set, instead of ending this process."""
    stop = threading.Event()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_all(running: Sequence[Supervised]) -> None:
    """Stop all, the last first; those that do not end are killed."""
    for one in reversed(running):
        one.stop()
    deadline = time.monotonic() + STOP_SECONDS
    for one in running:
        one.await_end(deadline)

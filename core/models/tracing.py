"""Tracing of one network and running of others take turns between threads.

While `torch.fx` traces a network it replaces how every module of the process is called, so that a
network that another thread runs fails.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """Any number of threads run networks, or one traces."""

    def __init__(self) -> None:
        self._change = Condition()
        self._running = 0
        self._traced = False

    @contextmanager
    def running(self) -> Generator[None]:
        """Run a network, once none is being traced; may be entered again within."""
        with self._change:
            self._change.wait_for(lambda: not self._traced)
            self._running += 1
        try:
            yield
        finally:
            with self._change:
                self._running -= 1
                self._change.notify_all()

    @contextmanager
    def tracing(self) -> Generator[None]:
        """Trace a network, once none is running."""
        with self._change:
            self._change.wait_for(lambda: not self._traced and not self._running)
            self._traced = True
        try:
            yield
        finally:
            with self._change:
                self._traced = False
                self._change.notify_all()


TURNS = Turns()
"""Of this process."""

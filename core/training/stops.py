"""Requests to stop a run, which may be deferred until its state is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stops:
    """Requests to stop a run: by a signal (Ctrl+C, or a shutdown) or by a file in its folder.

    Attributes:
        asked: Whether a request is pending.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False
        self._interrupts = False
        self._lock = threading.Lock()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a first request only sets `asked`; it interrupts after the block."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self.check()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within the block, requests interrupt the main thread.

        SIGINT is handled, too, as a process started in the background inherits that it is ignored.
        In another thread Python sets no signal handlers: there a request waits for the next step.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self.on_signal) for number in numbers}
        self._interrupts = True
        try:
            yield
        finally:
            with self._lock:
                self._interrupts = False
            for number, handler in previous.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Interrupt by a request that came before `interrupting`; called within its block.

        Raises:
            KeyboardInterrupt: There is one.
        """
        if self.asked:
            raise KeyboardInterrupt

    def ask(self) -> None:
        """Make a request from another thread of this process."""
        with self._lock:
            if not self._interrupts:
                self.asked = True
            elif hasattr(signal, "pthread_kill"):
                # To this process's own main thread, whose sleep it ends.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            else:
                signal.raise_signal(signal.SIGTERM)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Record the request, or interrupt.

        Raises:
            KeyboardInterrupt: Requests are not deferred, or one is pending already.
        """
        if self.asked or not self._deferred:
            raise KeyboardInterrupt
        self.asked = True

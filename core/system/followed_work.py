"""Work that other processes follow and stop through files."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.system.stop_request import StopRequests
from core.system.work_lock import WorkLock


@dataclass(frozen=True, slots=True)
class FollowedWork:
    """Files of one piece of work.

    Attributes:
        progress: JSON file with its progress.
    """

    progress: Path

    @property
    def lock(self) -> WorkLock:
        """Held by the process that does the work."""
        return WorkLock(self.progress.with_name(f".{self.progress.name}.lock"))

    @property
    def stop_file(self) -> Path:
        """File of the requests to stop."""
        return self.progress.with_name(f"{self.progress.name}.stop")

    @contextmanager
    def carried_out(self) -> Iterator[None]:
        """Hold the lock for the length of the block; a request to stop ends this process.

        Raises:
            HeldError: Another process does the work.
            StorageError: The folder cannot be written.
        """
        requests = StopRequests(self.stop_file)

        def heed() -> None:
            if requests.take():
                requests.clear()
                end_own_processes()

        with self.lock.held(judge=True, on_refresh=heed):
            yield


def end_own_processes() -> None:
    """End this process and those that it started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGTERM)  # All at once: it leads a group of its own.
        return
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.terminate()
    os.kill(os.getpid(), signal.SIGTERM)

"""A number of places that all processes of a machine share, so that they do not add up."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

_POLL_S: Final = 0.2


@contextlib.contextmanager
def shared_slot(
    folder: Path, name: str, count: int, *, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold one of the slots of a name on this machine; wait while others hold all of them.

    The operating system frees the slot of a process that dies. If the folder cannot be written,
    there is nothing to share by, and the work goes on without a slot.

    Args:
        folder: Folder of the locks, the same for all processes; each machine has its own below.
        name: Kind of work.
        count: Number of slots.
        on_wait: Called again and again while waiting; an exception that it raises ends the wait.
    """
    lock: FileLock | None = None
    while lock is None:
        try:
            lock = _free_slot(folder / (platform.node() or "here"), name, count)
        except (OSError, NotImplementedError):
            break
        if lock is None:
            if on_wait is not None:
                on_wait()
            time.sleep(_POLL_S)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _free_slot(place: Path, name: str, count: int) -> FileLock | None:
    """The lock of a free slot, held; None if there is none."""
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # Not the kind of lock that is only a file: a process that dies would leave it.
        lock = FileLock(place / f"{name}-{number}", thread_local=False, fallback_to_soft=False)
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
    return None

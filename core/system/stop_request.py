"""A request to stop a piece of work: a file that the worker looks for.

It reaches a worker on any machine that shares the disk, and never any other process.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from core.system.atomic_files import write_text


def ask_to_stop(file: Path) -> None:
    """Make a request; each call is one request more.

    Raises:
        StorageError: The file cannot be written.
    """
    write_text(file, secrets.token_hex(8))


class StopRequests:
    """The requests in one file, as the worker sees them.

    Args:
        file: Where they are made.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = ""

    def take(self) -> bool:
        """Whether there is a request that was not taken yet."""
        try:
            found = self._file.read_text()
        except OSError:
            return False
        is_new = bool(found) and found != self._seen
        self._seen = found
        return is_new

    def clear(self) -> None:
        """Remove what was asked."""
        self._file.unlink(missing_ok=True)

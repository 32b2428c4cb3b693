"""How much one session, and all sessions together, may have of what a server runs out of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Final

from core.errors import TaskError


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits of one kind of work.

    Attributes:
        at_once: Number that runs at the same time, of all sessions together.
        waiting: Number that may wait, of all sessions together.
        per_session: Number of one session, running or waiting.
    """

    at_once: int
    waiting: int
    per_session: int


UPLOAD_JOBS: Final = Allowance(at_once=2, waiting=64, per_session=2)
"""`UPLOAD_LANES` replaces `at_once`. A second one waits while a replaced upload is being ended."""
PREDICTIONS: Final = Allowance(at_once=1, waiting=64, per_session=8)
"""`MAX_PREDICTIONS` and `MAX_WAITING` replace the first two; boxes have as many of their own."""
SURFACES: Final = Allowance(at_once=1, waiting=64, per_session=4)
PYVISTA_PAGES: Final = Allowance(at_once=1, waiting=16, per_session=2)
FILMS: Final = Allowance(at_once=1, waiting=4, per_session=1)
BATCHES: Final = Allowance(at_once=1, waiting=16, per_session=2)
SENDINGS: Final = Allowance(at_once=1, waiting=16, per_session=2)
"""Results that are sent to DICOM servers."""
FIGURES: Final = Allowance(at_once=1, waiting=1_000, per_session=250)
TRANSFERS: Final = Allowance(at_once=32, waiting=1_024, per_session=1_024)
"""Files that arrive over HTTP; a folder's files wait for each other."""
FILES_PER_SESSION: Final = 4_096
"""Files that one session may have announced or sent; RSNA's longest series has 1,082."""

IMPORTS_PER_SESSION: Final = 32
IMPORT_BYTES_PER_SESSION: Final = 512 << 20
"""Imported models; `MAX_IMPORTS` and `IMPORTS_QUOTA_GIB` hold for all together."""


class Turns:
    """Lets a few callers work at the same time, and a few more wait.

    Args:
        what: The work in the plural, for messages.
        allowed: Limits.
    """

    def __init__(self, what: str, allowed: Allowance) -> None:
        self._what, self._allowed = what, allowed
        self._free = allowed.at_once
        self._asked: Counter[str] = Counter()
        self._change = Condition()

    @contextmanager
    def turn(self, session: str) -> Generator[None]:
        """Wait for a turn and keep it for the duration of the block.

        Args:
            session: Session that asks.

        Raises:
            TaskError: The session, or all of them together, asked for too many.
        """
        with self._change:
            self._check(session)
            self._asked[session] += 1
            self._change.wait_for(lambda: self._free > 0)
            self._free -= 1
        try:
            yield
        finally:
            with self._change:
                self._free += 1
                self._asked -= Counter([session])
                self._change.notify()

    def _check(self, session: str) -> None:
        limits = self._allowed
        if self._asked[session] >= limits.per_session:
            raise TaskError(
                f"This session has {self._asked[session]} {self._what} in the making already; wait "
                "until they are ready."
            )
        if self._asked.total() >= limits.at_once + limits.waiting:
            raise TaskError(
                f"{self._asked.total()} {self._what} are in the making already; try again in a few "
                "minutes."
            )

"""Work for a program that uses the HTTP interface, which has no page and no login of its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_session: Final[ContextVar[str | None]] = ContextVar("program_session", default=None)


@contextmanager
def acting_for(session: str) -> Generator[None]:
    """Do what the block does for a program whose token was checked; it may do what a viewer may.

    Args:
        session: Name of the session that what is done belongs to.
    """
    before = _session.set(session)
    try:
        yield
    finally:
        _session.reset(before)


def program_session() -> str | None:
    """Session of the program that work is being done for; None if it is for a page."""
    return _session.get()

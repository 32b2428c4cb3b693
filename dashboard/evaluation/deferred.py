"""Figures that take seconds at full size, computed once; large ones in the background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import streamlit as st

from dashboard.background.budget import FIGURES
from dashboard.background.thread_jobs import JobPool
from dashboard.session.session_end import whose

T = TypeVar("T")
INLINE_UP_TO: Final = 60_000
"""Number of items that takes well under a second."""


class Pending:
    """Stands for a result that is still being computed."""


PENDING: Final = Pending()
_held: Final[dict[str, Callable[[], object]]] = {}
"""Deferred work by key that waits until the page is drawn."""


def deferred(key: str, work: Callable[[], T], *, items: int) -> T | Pending:
    """A result: at once for few items, otherwise `PENDING` until the background has computed it.

    Args:
        key: Key of the result.
        work: Computes it.
        items: Number of items it is computed from; large work waits for `compute_deferred`.

    Raises:
        CSpineError: Whatever `work` raised.
    """
    if (job := pool().find(key)) is not None:
        return job.result() if job.finished else PENDING
    if items <= INLINE_UP_TO:
        return pool().put(key, work()).result()
    _held[key] = work
    return PENDING


def compute_deferred() -> None:
    """Start the deferred work of the page, after everything else is drawn."""
    for key in list(_held):
        if (work := _held.pop(key, None)) is not None:
            pool().submit(key, lambda _, work=work: work(), **whose(None))


def computing() -> bool:
    """Whether deferred work is waiting or running."""
    return bool(_held) or pool().busy


@st.cache_resource(show_spinner=False)
def pool() -> JobPool:
    """Pool for the figures of all sessions, computed one after another."""
    return JobPool("evaluation", FIGURES)

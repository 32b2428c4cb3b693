"""Figures that take seconds at full size, computed once; large ones in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import streamlit as st

from core.types import Progress
from dashboard.background.budget import FIGURES
from dashboard.background.thread_jobs import JobPool
from dashboard.session.session_end import whose

T = TypeVar("T")
INLINE_UP_TO: Final = 60_000
"""Number of items that takes well under a second."""
HEAD_START_S: Final = 1.0
"""The work takes both cores of a small machine, and a page draws in less."""


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
    """Start the deferred work of the page, once the browser has had time to draw the rest."""
    pause_s = 0.0 if pool().busy else HEAD_START_S
    for key in list(_held):
        if (work := _held.pop(key, None)) is not None:
            pool().submit(key, partial(_after, pause_s, work), **whose(None))
            pause_s = 0.0  # One after another, so the first one's pause holds for all.


def _after(pause_s: float, work: Callable[[], T], _progress: Progress) -> T:
    time.sleep(pause_s)
    return work()


def computing() -> bool:
    """Whether deferred work is waiting or running."""
    return bool(_held) or pool().busy


@st.cache_resource(show_spinner=False)
def pool() -> JobPool:
    """Pool for the figures of all sessions, computed one after another."""
    return JobPool("evaluation", FIGURES)

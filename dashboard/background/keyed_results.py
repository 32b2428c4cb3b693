"""Figures that take seconds at full size: computed once, in the background where they are large."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import streamlit as st

T = TypeVar("T")
INLINE_UP_TO: Final = 60_000
"""Items; so many take well under a second."""
KEEP: Final = 64


class Pending:
    """Stands for a result that is still being computed."""


PENDING: Final = Pending()


class SlowResults:
    """Results by key, the longest unused forgotten; computed one after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")
        self._futures: OrderedDict[str, Future[Any]] = OrderedDict()
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._lock = threading.Lock()

    def get(self, key: str, work: Callable[[], T], *, wait: bool) -> T | Pending:
        """The result under `key`; one that nobody has asked for before waits for `start`.

        Args:
            key: Names the result.
            work: Computes it.
            wait: Whether to wait for it.

        Raises:
            CSpineError: Whatever `work` raised.
        """
        with self._lock:
            future = self._futures.get(key)
            if future is None:
                future = Future()
                self._futures[key] = future
                mine = wait
                if not wait:
                    self._waiting.append((future, work))
                while len(self._futures) > KEEP:
                    self._futures.popitem(last=False)
            else:
                mine = False
                self._futures.move_to_end(key)
        if mine:
            _run(future, work)
        if future.done() or wait:
            return future.result()
        return PENDING

    def start(self) -> None:
        """Compute what is waiting, in the background: a page calls this once it is drawn."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for future, work in waiting:
            self._pool.submit(_run, future, work)

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        with self._lock:
            return any(not future.done() for future in self._futures.values())


def slowly(key: str, work: Callable[[], T], *, items: int) -> T | Pending:
    """A result, at once where there are few items, else once the background has it.

    Raises:
        CSpineError: Whatever `work` raised.
    """
    return _results().get(key, work, wait=items <= INLINE_UP_TO)


def compute_the_rest() -> None:
    """Start what the page has asked for and could not wait for; after all is drawn."""
    _results().start()


def still_computing() -> bool:
    """Whether a result is on its way."""
    return _results().busy


@st.cache_resource(show_spinner=False)
def _results() -> SlowResults:
    return SlowResults()


def _run(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - handed on to whoever asks for the result
        future.set_exception(error)

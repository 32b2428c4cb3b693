"""Results kept in memory by key, each with the session that alone may see it."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Final, Generic, TypeVar

from dashboard.session.session_end import at_session_end

T = TypeVar("T")
_Place = tuple[str | None, Hashable]

_shelves: Final[weakref.WeakSet[Shelf[Any]]] = weakref.WeakSet()


class Shelf(Generic[T]):
    """Keeps results; the least recently used go first, and a session's own when it ends.

    `st.cache_resource` cannot drop the entries of one session that were made in another thread.

    Args:
        max_entries: Number of results kept.
    """

    def __init__(self, max_entries: int) -> None:
        self._kept: OrderedDict[_Place, T] = OrderedDict()
        self._making: dict[_Place, Lock] = {}
        self._most = max_entries
        self._lock = Lock()
        _shelves.add(self)

    def get(self, key: Hashable, make: Callable[[], T], *, owner: str | None = None) -> T:
        """The result of a key; made once, however many threads ask for it at the same time.

        Args:
            key: Everything that the result depends on.
            make: Makes the result; its errors pass through and are not kept.
            owner: The only session that may see it; None if every session may.
        """
        place = owner, key
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
            turn = self._making.setdefault(place, Lock())
        with turn:
            with self._lock:
                if place in self._kept:
                    return self._kept[place]
            try:
                made = make()
                with self._lock:
                    self._kept[place] = made
                    while len(self._kept) > self._most:
                        self._kept.popitem(last=False)
            finally:
                with self._lock:
                    self._making.pop(place, None)
            return made

    def forget(self, owner: str) -> None:
        """Drop the results of one session."""
        with self._lock:
            for place in [place for place in self._kept if place[0] == owner]:
                del self._kept[place]

    def clear(self) -> None:
        """Drop all results."""
        with self._lock:
            self._kept.clear()


@at_session_end
def _forget(session: str) -> None:
    for shelf in list(_shelves):
        shelf.forget(session)

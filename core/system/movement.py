"""How long a value has not changed, by this process's own clock.

Whether another machine's process lives is judged by what it keeps changing on the shared disk. The
times it writes are not compared with the time here: clocks differ, and are set.
"""

from __future__ import annotations

import threading
import time
from typing import Final

_MOST: Final = 65_536
"""Number of values remembered; the ones looked at longest ago are forgotten first."""


class Movement:
    """Remembers when each value was last seen to change. Safe to use from several threads."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}
        self._lock = threading.Lock()

    def seconds_still(self, key: str, value: object) -> float:
        """Seconds since the value was first seen as it is now.

        Args:
            key: Name of what is watched.
            value: Its present value.

        Returns:
            0 for a value that is new or has changed since the last call.
        """
        now = time.monotonic()
        with self._lock:
            known = self._seen.pop(key, None)
            if known is None or known[0] != value:
                known = (value, now)
            self._seen[key] = known
            if len(self._seen) > _MOST:
                del self._seen[next(iter(self._seen))]
        return now - known[1]


MOVEMENT: Final = Movement()
"""What this process has seen."""

"""What the C library and pyarrow keep of the memory that was freed."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import Final

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of glibc's `mallopt`."""
_NOT_GLIBC: Final = (AttributeError, OSError, TypeError)
"""What musl and macOS raise; Windows has no CDLL(None)."""


def limit_malloc_arenas(most: int) -> bool:
    """Limit the number of glibc's malloc arenas; it is the server's choice, not a library's.

    glibc gives threads arenas of their own, up to eight a core, and memory that was freed in one
    serves no other: a server with many threads keeps a quarter more than it uses.

    Args:
        most: Number of arenas beyond which none is added.

    Returns:
        Whether the C library knows the option; others than glibc do not.
    """
    with contextlib.suppress(*_NOT_GLIBC):
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, most))
    return False


def return_freed_memory() -> None:
    """Return to the system what is free, after work that needed much for a while.

    Both keep some hundred MiB at hand otherwise; that none is kept would cost large arrays twice
    the time.
    """
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
    with contextlib.suppress(*_NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)

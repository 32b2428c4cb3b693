"""Identify a process beyond its id: ids are reused, and clocks are set."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

_PROC: Final = Path("/proc")
_ENDED: Final = ("Z", "X", "x")
"""States of a process that has ended and is only listed until its parent has waited for it."""


def process_identity(pid: int) -> str | None:
    """Identity that distinguishes a running process from all others with the same id.

    On Linux it is the boot id and the start in ticks since boot: the start as a date moves whenever
    the clock is set. Elsewhere it is the start in seconds since 1970, which the system notes once.

    Args:
        pid: Process id on this machine.

    Returns:
        The identity; None if no such process runs (a zombie does not count).
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        started = _start_date(pid)
        return None if started is None else repr(started)
    ticks = _start_ticks(pid)
    return None if ticks is None else f"{boot}/{ticks}"


def is_same_process(pid: int, identity: str | float | None) -> bool:
    """Whether the process with this identity still runs.

    Args:
        pid: Process id.
        identity: Result of `process_identity`; None matches no process. Older files hold a number,
            the start in seconds since 1970, which is compared to within a second.
    """
    if isinstance(identity, int | float):
        started = _start_date(pid)
        return started is not None and abs(started - identity) < 1.0
    return identity is not None and process_identity(pid) == identity


def _start_ticks(pid: int) -> int | None:
    try:
        line = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:  # Gone; ESRCH where it goes between opening and reading.
        return None
    # "pid (name) state ...": the name may hold spaces and brackets. The start is field 22 of all.
    fields = line.rpartition(")")[2].split()
    return None if fields[0] in _ENDED else int(fields[19])


def _start_date(pid: int) -> float | None:
    """Start of a running process in seconds since 1970."""
    try:
        process = psutil.Process(pid)
        started = process.create_time()
        return None if process.status() == psutil.STATUS_ZOMBIE else started
    except psutil.Error:
        return None

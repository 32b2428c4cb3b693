"""Which process a number stands for: numbers are given again, and clocks are set."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

_PROC: Final = Path("/proc")
_ENDED: Final = ("Z", "X", "x")
"""States of a process that has ended and is only listed until its parent has looked."""


def process_identity(pid: int) -> str | None:
    """What tells a living process from every other that had or will have its number.

    On Linux the boot and the start in ticks since then: the start as a date is the kernel's boot
    time plus these ticks, and that boot time moves whenever the clock is set. Elsewhere the start
    in seconds since 1970, which the system notes once.

    Args:
        pid: Of any process of this machine.

    Returns:
        None where there is no such process, or one that has ended and was not waited for.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        started = _start_date(pid)
        return None if started is None else repr(started)
    ticks = _start_ticks(pid)
    return None if ticks is None else f"{boot}/{ticks}"


def is_same_process(pid: int, identity: str | float | None) -> bool:
    """Whether the process lives that had this identity.

    Args:
        pid: Its number.
        identity: What `process_identity` gave; None is nobody. A number is what older files hold,
            the start in seconds since 1970: it is compared as such to within a second, so that
            the process that wrote it is not taken for dead unless the clock was set meanwhile.
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
    """The start of a living process in seconds since 1970."""
    try:
        process = psutil.Process(pid)
        started = process.create_time()
        return None if process.status() == psutil.STATUS_ZOMBIE else started
    except psutil.Error:
        return None

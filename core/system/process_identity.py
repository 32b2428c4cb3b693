"""Identify a process beyond its id: ids are reused, and clocks are set."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

_PROC: Final = Path("/proc")
_ENDED: Final = ("Z", "X", "x")
"""States of a process that has ended and is only listed until its parent has waited for it."""


def process_identity(pid: int) -> str | None:
    """Identity that distinguishes a running process from all others with the same id.

    On Linux it is the boot id, the start in ticks since boot, and the namespace of process ids,
    which differs between containers: the start as a date moves whenever the clock is set. Elsewhere
    it is the start in seconds since 1970, which the system notes once.

    Args:
        pid: Process id on this machine.

    Returns:
        The identity; None if no such process runs (a zombie does not count).
    """
    boot = _boot_id()
    if not boot:
        started = _start_date(pid)
        return None if started is None else repr(started)
    ticks = _start_ticks(pid)
    return None if ticks is None else "/".join([boot, str(ticks), *_namespace()])


def is_same_process(pid: int, identity: str | float | None) -> bool:
    """Whether the process with this identity still runs.

    Args:
        pid: Process id.
        identity: Result of `process_identity`; None matches no process. Older files hold it without
            a namespace, or a number, the start in seconds since 1970, which is compared to within a
            second.
    """
    if isinstance(identity, int | float):
        started = _start_date(pid)
        return started is not None and abs(started - identity) < 1.0
    current = process_identity(pid)
    if identity is None or current is None:
        return False
    return all(
        one == other for one, other in zip(current.split("/"), identity.split("/"), strict=False)
    )


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process as a file names it, possibly one of another machine.

    Attributes:
        host: Name of its machine; "" in files of older versions.
        pid: Process id there; 0 for a process that is not known.
        process_started: Its `process_identity`; None if it had ended already.
    """

    host: str
    pid: int
    process_started: str | float | None

    @classmethod
    def of(cls, pid: int) -> Self:
        """Record a process of this machine."""
        return cls(platform.node(), pid, process_identity(pid))

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine, and of this container.

        The boot id decides where it is known: names are given twice, and machines are renamed.
        """
        if not self.pid:
            return False
        boot, *_, space = _parts(self.process_started)
        if not boot or not _boot_id():
            return self.host in ("", platform.node())
        return boot == _boot_id() and (not space or [space] == _namespace())

    @property
    def is_this_one(self) -> bool:
        """Whether it is the calling process."""
        return self.pid == os.getpid() and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether it is a process of this machine that still runs."""
        return self.is_here and is_same_process(self.pid, self.process_started)

    def find(self) -> psutil.Process | None:
        """The running process, if it can be proved to be this one and may be sent signals.

        A start as a date in a file that names no machine proves nothing: another machine may have
        a process with the same id and second.
        """
        boot, *_ = _parts(self.process_started)
        if not boot and not self.host:
            return None
        try:
            # Its methods refuse an id that was given to another process after this line.
            process = psutil.Process(self.pid)
        except (psutil.Error, ValueError):
            return None
        return process if self.is_alive else None


def _parts(identity: str | float | None) -> tuple[str, str, str]:
    """Boot, ticks and namespace of an identity, each "" if it is not in it."""
    if not isinstance(identity, str) or "/" not in identity:
        return "", "", ""
    boot, ticks, *space = identity.split("/")
    return boot, ticks, "".join(space)


def _boot_id() -> str:
    """Identity of the running system; "" where there is none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> list[str]:
    """Namespace of the process ids seen here; empty where it is not known."""
    try:
        return [str((_PROC / "self/ns/pid").readlink())]
    except OSError:
        return []


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

"""Limits of a child process, enforced by the operating system, and what it learns of the server."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from core.errors import WorkerError

_KEPT: Final = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DISPLAY",
     "SYSTEMROOT", "VIRTUAL_ENV"}
)  # fmt: skip
_KEPT_STARTS: Final = (
    "LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "PYVISTA_", "VTK_", "LIBGL_", "MESA_",
    "GALLIUM_", "EGL_", "__EGL_", "FONTCONFIG_", "MPL",
)  # fmt: skip
"""Names of variables that a child keeps, or what they begin with: threads and drawing."""
_COUNT_SECONDS: Final = 0.25
_NO_NEW_PRIVILEGES: Final = 38
"""PR_SET_NO_NEW_PRIVS of `prctl`: no program that is started gains rights (setuid)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call.

    Attributes:
        memory_bytes: Address space beyond that of the child after its imports; enforced by the
            operating system where it supports such a limit (Linux).
        seconds: Wall-clock time.
        cores: Average number of cores that a call may keep busy.
        file_bytes: Largest file that the child may write.
        processes: Processes and threads that it may start.
    """

    memory_bytes: int
    seconds: float
    cores: int = 4
    file_bytes: int = 16 << 30
    processes: int = 512


def scrubbed_environment() -> dict[str, str]:
    """Environment of a child: what programs need to run, and none of the server's secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _KEPT or name.upper().startswith(_KEPT_STARTS)
    }


def limit_process(limits: Limits) -> None:
    """Limit memory, files and processes for good, where the system supports it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        running = sum(
            len(list((process / "task").iterdir()))
            for process in Path("/proc").glob("[0-9]*")
            if _is_own(process)
        )
    except (ImportError, OSError, ValueError):
        return
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory_bytes)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    # Counts threads of all processes of the user. It does not bind the superuser, whose child
    # `ProcessCount` watches instead.
    _lower(resource.RLIMIT_NPROC, running + limits.processes)


class ProcessCount:
    """Counts the processes and threads of a child of the superuser, whom no limit binds.

    For other users the operating system refuses more than it may have, and nothing is counted.

    Args:
        pid: Process id of the child.
        limits: Its limits.
    """

    def __init__(self, pid: int, limits: Limits) -> None:
        self._pid, self._most = pid, limits.processes
        self._due = 0.0 if hasattr(os, "geteuid") and os.geteuid() == 0 else math.inf

    def check(self) -> None:
        """Count, if the last time was a while ago.

        Raises:
            WorkerError: There are too many.
        """
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _COUNT_SECONDS
        with contextlib.suppress(psutil.Error):
            if sum(map(_threads, _with_children(self._pid))) > self._most:
                raise WorkerError(
                    f"The process that reads these files started more than {self._most} others "
                    "and was ended; export the series again from its source."
                )


def has_ended(child: subprocess.Popen[str]) -> bool:
    """Whether a child has ended; its process id stays taken until `end_with_children`."""
    if child.returncode is not None or not hasattr(os, "waitid"):
        return child.poll() is not None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def end_with_children(child: subprocess.Popen[str]) -> None:
    """Kill a child that leads its own session, and all that it has started.

    It must not have been waited for: otherwise its id may be another process's by now.
    """
    if child.returncode is not None:
        return
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started = _with_children(child.pid)[1:]
    if hasattr(os, "killpg"):
        # All of its group in one step: what is being forked meanwhile ends too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    for one in started:
        with contextlib.suppress(psutil.Error):
            one.kill()
    child.wait()


def _with_children(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _threads(process: psutil.Process) -> int:
    try:
        return process.num_threads()
    except psutil.Error:
        return 0


def _is_own(process: Path) -> bool:
    try:
        return process.stat().st_uid == os.getuid() and (process / "task").is_dir()
    except OSError:
        return False


def _lower(kind: int, limit: int) -> None:
    import resource

    _, most = resource.getrlimit(kind)
    value = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(kind, (value, value))


def limit_cpu(seconds: float) -> None:
    """Have the operating system end this process after so much further work on any core."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    if most == resource.RLIM_INFINITY or limit < most:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))

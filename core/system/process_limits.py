"""Limits of a child process, enforced by the operating system, and what it learns of the server."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KEPT: Final = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DISPLAY",
     "SYSTEMROOT", "VIRTUAL_ENV"}
)  # fmt: skip
_KEPT_STARTS: Final = (
    "LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "PYVISTA_", "VTK_", "LIBGL_", "MESA_",
    "GALLIUM_", "EGL_", "__EGL_", "FONTCONFIG_", "MPL",
)  # fmt: skip
"""Names of variables that a child keeps, or what they begin with: threads and drawing."""
_MORE_PROCESSES: Final = 512
"""Processes and threads beyond those of the user when the child starts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call.

    Attributes:
        memory_bytes: Address space beyond that of the child after its imports; enforced by the
            operating system where it supports such a limit (Linux).
        seconds: Wall-clock time.
        cores: Average number of cores that a call may keep busy.
        file_bytes: Largest file that the child may write.
    """

    memory_bytes: int
    seconds: float
    cores: int = 4
    file_bytes: int = 16 << 30


def scrubbed_environment() -> dict[str, str]:
    """Environment of a child: what programs need to run, and none of the server's secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _KEPT or name.upper().startswith(_KEPT_STARTS)
    }


def limit_process(limits: Limits) -> None:
    """Limit memory, files and processes for good, where the system supports it."""
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
    # Counts threads of all processes of the user; the superuser has no such limit.
    _lower(resource.RLIMIT_NPROC, running + _MORE_PROCESSES)


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

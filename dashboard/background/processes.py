"""Processes that live on without the dashboard, and folders that go all at once."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.config import PROJECT_ROOT

DOOMED: Final = ".deleted-"


def start_apart(command: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    """Start a process that a closed page or a stopped server leaves alone.

    Args:
        command: Its words.
        output: Takes what it prints, at the end of what is there.

    Raises:
        OSError: It cannot be started, or `output` not written.
    """
    with output.open("ab") as stream:
        # A session of its own: a signal to the dashboard's terminal does not reach it, and one
        # to its group reaches the workers that it starts.
        return subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            cwd=PROJECT_ROOT, start_new_session=True,
        )  # fmt: skip


def remove_whole(folder: Path) -> None:
    """Remove a folder with all that it holds.

    It is renamed first: a removal that is cut off half-way leaves nothing that looks whole.

    Raises:
        OSError: It cannot be removed.
    """
    doomed = folder.with_name(f"{DOOMED}{folder.name}-{time.time_ns()}")
    folder.rename(doomed)
    shutil.rmtree(doomed)

"""Server processes that do the same thing at the same moment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

WAIT = """
import pathlib, sys, time
def together(folder):
    (folder / f"ready-{sys.argv[1]}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
"""


def run_together(script: str, folder: Path, root: Path, processes: int = 2) -> list[list[str]]:
    """Run a script in several processes, which meet where it calls `together(pathlib.Path(...))`.

    Returns:
        Lines that each of them printed.
    """
    folder.mkdir()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WAIT + script, str(number), str(folder)],
            stdout=subprocess.PIPE, text=True, cwd=root,
        )
        for number in range(processes)
    ]  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(folder.glob("ready-*"))) < processes:
        assert time.monotonic() < deadline
        assert all(one.poll() is None for one in running)
        time.sleep(0.01)
    (folder / "go").touch()
    return [_lines(one) for one in running]


def _lines(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.splitlines()

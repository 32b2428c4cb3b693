"""A dask scheduler and worker processes on loopback, as a team would start them by hand."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60


@dataclass(frozen=True)
class LoopbackCluster:
    """The scheduler's address, its process id and the workers'."""

    address: str
    scheduler_pid: int
    pids: tuple[int, ...]


@contextlib.contextmanager
def loopback_cluster(
    folder: Path,
    *,
    workers: int = 2,
    settings: dict[str, str] | None = None,
    scheduler_in: Path = ROOT,
    workers_in: Path = ROOT,
) -> Iterator[LoopbackCluster]:
    """Start a scheduler and single-threaded workers without nannies; end them on leaving.

    They see the program where they are started in its folder, `ROOT`.
    """
    place = folder / "scheduler.json"
    environment = os.environ | {
        "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        **(settings or {}),
    }  # fmt: skip
    common = ["--scheduler-file", str(place), "--no-dashboard"]
    commands = [
        (scheduler_in, ["scheduler", "--host", "127.0.0.1", "--port", "0"]),
        *[
            (workers_in, ["worker", "--nthreads", "1", "--no-nanny", "--death-timeout", "60",
                          "--local-directory", str(folder)])
        ]
        * workers,
    ]  # fmt: skip
    processes = []
    with (folder / "cluster.log").open("w") as log:
        try:
            for place_to_start, options in commands:
                command = [sys.executable, "-m", "dask", *options, *common]
                processes.append(
                    subprocess.Popen(
                        command, cwd=place_to_start, env=environment, stdout=log, stderr=log
                    )
                )
            yield LoopbackCluster(
                _address(place), processes[0].pid, tuple(p.pid for p in processes[1:])
            )
        finally:
            for process in reversed(processes):
                process.kill()
            for process in processes:
                process.wait()


def _address(place: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(place.read_text())["address"]
        time.sleep(0.05)
    raise TimeoutError(f"No scheduler came up; see {place.parent / 'cluster.log'}.")

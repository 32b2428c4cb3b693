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

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60


@dataclass(frozen=True)
class LoopbackCluster:
    """The scheduler's address and the workers' process ids."""

    address: str
    pids: tuple[int, ...]


@contextlib.contextmanager
def loopback_cluster(
    folder: Path, *, workers: int = 2, settings: dict[str, str] | None = None
) -> Iterator[LoopbackCluster]:
    """Start a scheduler and single-threaded workers without nannies; end them on leaving."""
    place = folder / "scheduler.json"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        **(settings or {}),
    }  # fmt: skip
    common = ["--scheduler-file", str(place), "--no-dashboard"]
    commands = [
        ["dask_scheduler", "--host", "127.0.0.1", "--port", "0"],
        *[["dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]]
        * workers,
    ]
    processes = []
    with (folder / "cluster.log").open("w") as log:
        try:
            for name, *options in commands:
                command = [sys.executable, "-m", f"distributed.cli.{name}", *common, *options]
                processes.append(
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
                )
            yield LoopbackCluster(_address(place), tuple(p.pid for p in processes[1:]))
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

"""Many sessions at once on a running dashboard: errors, what leaks between them, times, memory.

Each session uploads its own series, moves between three pages and changes what is on them. It
reads its own pixels and asks for its neighbour's, which it must not get. Rounds of sessions follow
each other, so that what the server keeps after they have ended shows as a slope.

    .venv/bin/python -m benchmarks.load_test                      20 sessions, 50 interactions
    .venv/bin/python -m benchmarks.load_test --sessions 4 --interactions 6 --rounds 2
    .venv/bin/python -m benchmarks.load_test --workers 1 2        both, side by side
    .venv/bin/python -m benchmarks.load_test --readers 30 --workers 2    a class in a reader study
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.load_readers import ClassFinding, hold_class, write_class
from benchmarks.load_sessions import Finding, load
from tests.browser.server import port_of, serve
from tests.dashboard.workplace import Workplace, write_bundles, write_cohort

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Findings of all rounds.

    Attributes:
        finding: Findings of all rounds together.
        memory_mib: Memory of the server after each round, once its sessions have ended; of all
            workers together.
        minutes: Time that the rounds took.
    """

    finding: Finding
    memory_mib: tuple[float, ...]
    minutes: float = 0.0

    @property
    def slope_mib(self) -> float:
        """MiB added per round, by least squares; the first round is left out, it fills caches."""
        later = self.memory_mib[1:]
        return float(np.polyfit(np.arange(len(later)), later, 1)[0]) if len(later) > 1 else 0.0


def measure(
    root: Path,
    environment: Mapping[str, str],
    *,
    sessions: int,
    interactions: int,
    rounds: int,
    workers: int = 1,
) -> LoadReport:
    """Serve the dashboard and load it, round after round.

    Args:
        root: The project's folder.
        environment: Variables with the dashboard's data folders.
        sessions: Sessions at the same time.
        interactions: Interactions of each session in each round.
        rounds: Number of rounds.
        workers: Server processes; several stand behind HAProxy.
    """
    whole, memory, minutes = Finding(), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        short = ("--server.disconnectedSessionTTL", "1")
        with serve(root, dict(environment), log, extra=short, workers=workers) as url:
            port = port_of(url)
            ports = [port] if workers == 1 else range(port + 1, port + 1 + workers)
            servers = [server_at(one) for one in ports]
            for _ in range(rounds):
                start = time.monotonic()
                whole.join(load(url, sessions=sessions, interactions=interactions))
                minutes += (time.monotonic() - start) / 60
                time.sleep(5)
                memory.append(sum(one.memory_info().rss for one in servers) / _MIB)
    return LoadReport(whole, tuple(memory), minutes)


def measure_class(root: Path, readers: int, workers: int) -> ClassFinding:
    """Serve the dashboard and have a class take part in a reader study at the same time.

    Args:
        root: The project's folder.
        readers: Number of readers.
        workers: Server processes; several stand behind HAProxy.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder))
        code = write_class(place.var)
        with serve(root, place.environment, Path(folder) / "log", workers=workers) as url:
            return hold_class(url, place.var, code, readers)


def _print_class(found: ClassFinding, readers: int, workers: int) -> None:
    print(f"{readers} readers at once on {workers} workers: {len(found.errors)} errors, "
          f"{len(found.lost)} answers lost or read by others")  # fmt: skip
    for step, seconds in found.seconds.items():
        if seconds:
            median, p95 = np.percentile(seconds, [50, 95])
            print(f"  {step:8} n = {len(seconds):4}  median {median:.2f} s  p95 {p95:.2f} s")
    for text in [*dict.fromkeys(found.errors), *found.lost][:20]:
        print("  " + text[:300])


def server_at(port: int) -> psutil.Process:
    """The process that listens on a port; a child of this one or below one."""
    for child in psutil.Process().children(recursive=True):
        if any(one.laddr.port == port for one in child.net_connections("tcp")):
            return child
    raise RuntimeError(f"Nobody listens on port {port}.")


def _print(report: LoadReport, sessions: int, rounds: int, workers: int) -> None:
    found = report.finding
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}; {workers} workers, {sessions} sessions at once, {rounds} rounds")
    print(f"{found.interactions} interactions in {report.minutes:.1f} minutes, "
          f"{len(found.errors)} errors, {len(found.foreign)} cross-session reads")  # fmt: skip
    for page, seconds in found.seconds.items():
        if seconds:
            median, p95 = np.percentile(seconds, [50, 95])
            print(f"  {page:14} n = {len(seconds):4}  median {median:.2f} s  p95 {p95:.2f} s")
    print("server memory after each round, MiB:", *(f"{one:.0f}" for one in report.memory_mib))
    print(f"slope {report.slope_mib:+.1f} MiB per round of {sessions} sessions (first left out)")
    for text in [*dict.fromkeys(found.errors), *found.foreign][:20]:
        print("  " + text[:300])


def main() -> int:
    """Measure and print; 1 where anything failed or leaked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--interactions", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1], metavar="N",
        help="numbers of server processes to measure, one after the other",
    )  # fmt: skip
    parser.add_argument(
        "--readers", type=int, default=0, metavar="N",
        help="measure a class of N in a reader study instead",
    )  # fmt: skip
    given = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    if given.readers:
        failed = False
        for workers in given.workers:
            found = measure_class(root, given.readers, workers)
            _print_class(found, given.readers, workers)
            failed = failed or bool(found.errors or found.lost)
        return int(failed)
    reports: dict[int, LoadReport] = {}
    for workers in given.workers:
        with tempfile.TemporaryDirectory() as folder:
            place = Workplace(Path(folder))
            write_cohort(place.var / "demo")
            write_bundles(place.checkpoints)
            reports[workers] = measure(
                root, place.environment, sessions=given.sessions,
                interactions=given.interactions, rounds=given.rounds, workers=workers,
            )  # fmt: skip
        _print(reports[workers], given.sessions, given.rounds, workers)
    first, *others = given.workers
    for workers in others:
        share = reports[workers].finding.median / reports[first].finding.median
        print(f"median of {workers} workers: {share:.0%} of that of {first}")
    whole = [report.finding for report in reports.values()]
    return 1 if any(one.errors or one.foreign for one in whole) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Several server processes behind HAProxy: started, watched and stopped together.

    python -m scripts.workers --port 8501 --workers 4 -- --server.maxUploadSize 200

What follows `--` goes to every worker. A worker that ends is started again; Ctrl-C stops all.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.install import SetupError
from scripts.proxy import (
    WORKER_HEALTH,
    Endpoint,
    base_path,
    check_config,
    find_haproxy,
    haproxy_config,
)
from scripts.supervised import Supervised, stop_all, stop_signals

MOST: Final = 64
START_SECONDS: Final = 180.0
"""Time until all workers must answer; the first start compiles every module."""
_POLL_SECONDS: Final = 0.2
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


def parse_workers(text: str) -> int:
    """Number of workers from a command line.

    Raises:
        SetupError: Not a number from 1 to 64.
    """
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= MOST:
        raise SetupError(f"WORKERS is {text!r}; give a number from 1 to {MOST}: make run WORKERS=4")
    return int(text)


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """Workers of this machine behind one address.

    Attributes:
        public: Where browsers connect.
        count: Number of workers.
        python: Interpreter that has the packages.
        options: Options of Streamlit for each worker.
    """

    public: Endpoint
    count: int
    python: str = sys.executable
    options: Sequence[str] = ()

    @property
    def workers(self) -> list[Endpoint]:
        """Where the workers listen: this machine only, on the ports after the public one.

        Raises:
            SetupError: There are not enough ports above the public one.
        """
        first = self.public.port + 1
        return [Endpoint("127.0.0.1", port) for port in range(first, first + self.count)]

    def command(self, worker: Endpoint) -> list[str]:
        """Command of a worker.

        Where others can reach the proxy, the worker accepts the public host name too, and so knows
        of them although it listens on 127.0.0.1.
        """
        command = [
            self.python, "-m", "streamlit", "run", "streamlit_app.py", *self.options,
            "--server.address", worker.host, "--server.port", str(worker.port),
            "--server.headless", "true", "--browser.serverPort", str(self.public.port),
        ]  # fmt: skip
        if self.public.host in LOOPBACK:
            return command
        return [*command, "--server.allowedHosts", self.public.host.strip("[]")]


def shared_environment() -> dict[str, str]:
    """Variables that all workers share: one secret, so that each accepts the others' cookies."""
    name = "STREAMLIT_SERVER_COOKIE_SECRET"
    return {name: os.environ.get(name) or secrets.token_hex(32)}


def serve(group: WorkerGroup) -> int:
    """Run workers behind HAProxy until a signal asks to stop.

    Returns:
        0 after a signal; the status of a worker that ended before all were ready.

    Raises:
        SetupError: HAProxy is missing or refuses, or something does not start.
        OSError: A program cannot be run.
    """
    haproxy, base = find_haproxy(), base_path(group.options)
    with tempfile.TemporaryDirectory(prefix="cspine-proxy-") as folder, stop_signals() as stop:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(haproxy_config(group.public, group.workers, base))
        check_config(haproxy, config)
        running: list[Supervised] = []
        try:
            status = _start_workers(group, base, running, stop)
            if status is not None:
                return status
            # The last in the list and so the first to stop: no request finds a stopped worker.
            running.append(Supervised("HAProxy", [haproxy, "-db", "-f", str(config)]))
            shown = "localhost" if group.public.host == "0.0.0.0" else group.public.host
            address = f"http://{shown}:{group.public.port}{base}"
            print(f"{group.count} workers serve {address} (Ctrl-C stops them).", flush=True)
            while not stop.wait(_POLL_SECONDS):
                for one in running:
                    one.restart_if_ended()
            return 0
        finally:
            stop_all(running)


def _start_workers(
    group: WorkerGroup, base: str, running: list[Supervised], stop: threading.Event
) -> int | None:
    """Start all workers; the status to return if that fails, None once all answer.

    Raises:
        SetupError: A worker takes too long.
    """
    shared = shared_environment()
    for number, worker in enumerate(group.workers, 1):
        # Streamlit prints the address of every worker, which is not for browsers.
        command = group.command(worker)
        running.append(Supervised(f"Worker {number}", command, shared, subprocess.DEVNULL))
    deadline = time.monotonic() + START_SECONDS
    waiting = group.workers
    while waiting:
        if stop.wait(_POLL_SECONDS):
            return 0
        for one in running:
            if (status := one.process.poll()) is not None:
                return status or 1
        if time.monotonic() > deadline:
            raise SetupError(f"The worker at {waiting[0]} does not answer; look at its messages.")
        waiting = [worker for worker in waiting if not _is_ready(worker, base)]
    return None


def _is_ready(worker: Endpoint, base: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{worker}{base}{WORKER_HEALTH}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def main() -> int:
    """Serve; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--workers", default="2")
    parser.add_argument("options", nargs="*", help="options of Streamlit, after --")
    given = parser.parse_args()
    try:
        public = Endpoint(given.address, given.port)
        group = WorkerGroup(public, parse_workers(given.workers), options=given.options)
        return serve(group)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The workers could not start: {error.strerror or error}.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

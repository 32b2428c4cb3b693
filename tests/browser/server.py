"""The real server in processes of its own, on free ports."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

START_SECONDS = 60
STOP_SECONDS = 20


@contextlib.contextmanager
def serve(
    root: Path,
    environment: dict[str, str],
    log: Path,
    script: Path = Path("streamlit_app.py"),
    extra: Sequence[str] = (),
    workers: int = 1,
    base: str = "",
) -> Iterator[str]:
    """Start `streamlit run` on a script, or several workers, and yield the URL once it answers.

    Args:
        root: Working folder.
        environment: Variables set for it.
        log: Takes its output.
        script: What to run; the dashboard where there are several workers.
        extra: More options, such as `("--server.maxUploadSize", "1")`.
        base: Path that the options put everything below.
        workers: Server processes; several stand behind HAProxy.
    """
    port = free_port(following=workers if workers > 1 else 0)
    inherited = {key: value for key, value in os.environ.items() if key != "RSNA_ROOT"}
    if workers > 1:
        command = [sys.executable, "-m", "scripts.workers"]
        options = ["--port", str(port), "--workers", str(workers), "--"]
    else:
        command = [sys.executable, "-m", "streamlit", "run", str(script)]
        options = ["--server.port", str(port), "--server.headless", "true"]
    with log.open("w") as stream:
        process = subprocess.Popen(
            [*command, *options, *extra],
            cwd=root,
            env=inherited | environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}{base}", log)
            yield f"http://127.0.0.1:{port}{base}"
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port(following: int = 0) -> int:
    """A port that is free, as are those that follow it."""
    for _ in range(100):
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as stack:
            port = 0
            for number in range(following + 1):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", port + number if port else 0))
                port = port or probe.getsockname()[1]
            return port
    raise AssertionError("No free ports.")


def port_of(url: str) -> int:
    """The port of a server's URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health"):
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())

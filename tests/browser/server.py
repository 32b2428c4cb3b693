"""The real server in a process of its own, on a free port."""

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

START_SECONDS = 60


@contextlib.contextmanager
def serve(
    root: Path,
    environment: dict[str, str],
    log: Path,
    script: Path = Path("streamlit_app.py"),
    extra: Sequence[str] = (),
    base: str = "",
) -> Iterator[str]:
    """Start `streamlit run` on a script and yield its URL once it answers.

    Args:
        root: Working folder.
        environment: Variables set for it.
        log: Takes its output.
        script: What to run.
        extra: More options, such as `("--server.maxUploadSize", "1")`.
        base: Path that the options put everything below.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    inherited = {key: value for key, value in os.environ.items() if key != "RSNA_ROOT"}
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
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health"):
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())

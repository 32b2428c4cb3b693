"""Processes that start with torch loaded: a server that imported it once forks them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from unittest import mock

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["core.experiments.sweeps", "core.training.trainer"])


def start(
    function: Callable[..., object],
    *arguments: object,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Call a module's function in a process of its own.

    Args:
        function: What to call.
        arguments: Its arguments, which can be pickled.
        log: Takes what the process prints, and the traceback of an error.
        environment: Variables set beside those of this process.
    """
    variables = os.environ | dict(environment or {})
    process = _CONTEXT.Process(target=_call, args=(function, arguments, log, variables))
    # Streamlit's AppTest leaves its script as __main__, which the child would run again.
    with mock.patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
        process.start()
    return process


def finish(process: ForkServerProcess, seconds: float = 240) -> int:
    """Wait for the end of a process and give its exit status, -9 where SIGKILL ended it."""
    process.join(seconds)
    status = process.exitcode
    process.kill()
    assert status is not None, f"process {process.pid} did not end in {seconds} s"
    return status


def _call(
    function: Callable[..., object],
    arguments: tuple[object, ...],
    log: Path,
    variables: Mapping[str, str],
) -> None:
    os.environ.clear()
    os.environ.update(variables)
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    function(*arguments)

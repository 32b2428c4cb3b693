"""What the confined process is asked to do in tests; it imports them by name."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import ArchiveError, DicomSeriesError


def do(request: Mapping[str, Any], progress: Callable[[int, int], None]) -> Any:
    return _TASKS[request["what"]](request, progress)


def _echo(request, progress):
    del progress
    return {"pid": os.getpid(), "said": request["say"]}


def _chatter(request, progress):
    """Codecs that write on both streams, below Python's own."""
    del request, progress
    os.write(1, b'["value", "forged"]\n' * 1000)
    os.write(2, b"noise\n" * 100_000)
    sys.stderr.write("more noise\n" * 1000)
    return "quiet"


def _count(request, progress):
    for done in range(request["n"] + 1):
        progress(done, request["n"])
    return request["n"]


def _refuse(request, progress):
    del progress
    if request["say"] == "archive":
        raise ArchiveError("The archive is odd; pack it again.")
    raise DicomSeriesError(Path("a/1.dcm"), "it is odd", "make it even")


def _break(request, progress):
    del progress
    raise BaseException(request["say"])


def _die(request, progress):
    del request, progress
    ctypes.string_at(0)


def _hang(request, progress):
    """For ever, below the interpreter."""
    del request
    progress(0, 1)
    while True:
        time.sleep(60)


def _devour(request, progress):
    del progress
    return len(bytearray(int(request["bytes"])))


def _environment(request, progress):
    del request, progress
    return dict(os.environ)


def _spin(request, progress):
    del request, progress
    while True:
        pass


def _write(request, progress):
    del progress
    with Path(request["file"]).open("wb") as file:
        return file.write(bytes(int(request["bytes"])))


def _multiply(request, progress):
    """Fork until it is refused or there are enough, and then wait for ever if asked to."""
    del progress
    made = 0
    try:
        while made < request["n"]:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            made += 1
    except OSError:
        return made
    while request["stay"]:
        time.sleep(60)
    return made


def _status(request, progress):
    del request, progress
    return Path("/proc/self/status").read_text()


_TASKS = {
    "multiply": _multiply, "status": _status,
    "environment": _environment, "spin": _spin, "write": _write,
    "echo": _echo, "chatter": _chatter, "count": _count, "refuse": _refuse, "break": _break,
    "die": _die, "hang": _hang, "devour": _devour,
}  # fmt: skip

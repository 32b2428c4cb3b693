"""The child's side of `core.system.sandbox`: answers requests within its limits."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from core.errors import CSpineError, DicomSeriesError
from core.system.process_limits import Limits, limit_cpu, limit_process

if TYPE_CHECKING:
    from core.system.sandbox import Task

_PATIENCE_SECONDS: Final = 5.0
"""How long after its time limit a child ends itself, in case its parent is gone."""


def _serve(name: str, limits: Limits) -> None:
    """Run as the child: answer each line of standard input with lines on standard output."""
    module, _, function = name.partition(":")
    # Codecs may print to standard output, which is therefore kept from them.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task: Task = getattr(importlib.import_module(module), function)
    limit_process(limits)

    def send(*content: object) -> None:
        out.write(json.dumps(content) + "\n")
        out.flush()

    def progress(done: int, total: int) -> None:
        send("progress", done, total)

    send("ready")
    for line in sys.stdin:
        _end_itself_after(limits.seconds + _PATIENCE_SECONDS)
        limit_cpu(limits.seconds * limits.cores)
        try:
            answer: tuple[Any, ...] = ("value", task(json.loads(line), progress))
        except CSpineError as error:
            answer = (type(error).__name__, *(str(part or "") for part in _arguments(error)))
        except BaseException as error:  # noqa: BLE001 - one codec raises a BaseException
            # Only its type: a message may quote the file's content.
            answer = ("MemoryError" if isinstance(error, MemoryError) else "Exception",)
        _end_itself_after(0)
        send(*answer)


def _arguments(error: CSpineError) -> tuple[Any, ...]:
    return error.__reduce__()[1] if isinstance(error, DicomSeriesError) else error.args


def _end_itself_after(seconds: float) -> None:
    """Have the operating system end this process after so many seconds; 0 cancels that."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    _serve(sys.argv[1], Limits(**json.loads(sys.argv[2])))

"""A queue of runs for each device: one run at a time, first come first served, across processes.

A waiting run is a process with a ticket file. There is no supervisor that could fail: each process
checks the tickets itself, and tickets of dead processes are ignored. Machines that share a disk
have separate queues: their devices differ, and only the own machine knows whether a process lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from core.errors import StorageError
from core.system.atomic_files import write_json
from core.system.process_identity import is_same_process, process_identity
from core.training.runs import RunFolder

POLL_SECONDS: Final = 1.0

_TICKETS = "[0-9]*-*.json"
"""Does not match the hidden files left by a killed write."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A process's place in a queue.

    Attributes:
        number: Place in the queue; the lowest is first.
        pid: The process that waits or trains.
        process_started: Its `process_identity`, which distinguishes it from a later process with
            the same pid. A number in tickets of older versions.
    """

    number: int
    pid: int
    process_started: str | float | None

    @property
    def is_valid(self) -> bool:
        """Whether the process still lives."""
        return is_same_process(self.pid, self.process_started)


@contextmanager
def turn(
    folder: Path, device: str, *, on_wait: Callable[[int], None] | None = None,
    poll_s: float = POLL_SECONDS,
) -> Iterator[None]:  # fmt: skip
    """Hold a device for the length of the block, after waiting for earlier runs.

    Args:
        folder: Folder of the tickets; the same for all runs that share the device.
        device: For example "cpu" or "cuda"; each has its own queue on each machine.
        on_wait: Called at each check with the number of runs ahead, while there are any.
        poll_s: Seconds between checks.

    Raises:
        StorageError: The folder cannot be written.
    """
    queue = queue_of(folder, device)
    path = _draw_ticket(queue)
    try:
        while ahead := sum(other < path.name for other in _valid_tickets(queue)):
            if on_wait is not None:
                on_wait(ahead)
            time.sleep(poll_s)
        yield
    finally:
        path.unlink(missing_ok=True)


def _draw_ticket(queue: Path) -> Path:
    # Numbered and written under one lock: otherwise a lower number could appear after a higher one
    # had found the queue empty, and both would train.
    try:
        queue.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The queue {queue} cannot be made ({error.strerror}); check the folder's permissions."
        ) from error
    with FileLock(queue / ".lock"):
        taken = [int(path.name.split("-")[0]) for path in queue.glob(_TICKETS)]
        pid = os.getpid()
        ticket = Ticket(max(taken, default=0) + 1, pid, process_identity(pid))
        path = queue / f"{ticket.number:08d}-{ticket.pid}.json"
        write_json(path, asdict(ticket))
    return path


def queue_of(folder: Path, device: str) -> Path:
    """Folder of the tickets for a device of this machine."""
    return folder / (platform.node() or "here") / device


def waiting(folder: Path, device: str) -> int:
    """Count the living processes of this machine that hold or wait for a device."""
    return len(_valid_tickets(queue_of(folder, device)))


def _valid_tickets(queue: Path) -> list[str]:
    """File names of living processes' tickets in order; those of dead processes are removed."""
    valid: list[str] = []
    for path in sorted(queue.glob(_TICKETS)):
        try:
            ticket = Ticket(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        if ticket.is_valid:
            valid.append(path.name)
        else:
            path.unlink(missing_ok=True)
    return valid


@contextmanager
def wait_for_turn(folder: Path, device_name: str, run_dir: Path) -> Iterator[None]:
    """Hold the device for the length of the block; the run's status shows how many are ahead.

    Args:
        folder: Folder of the tickets; the same for all runs that share the device.
        device_name: For example "cpu" or "cuda".
        run_dir: Folder of the run.

    Raises:
        TrainingError: Another process works on the run.
        StorageError: A folder cannot be written.
    """
    run = RunFolder(run_dir)

    def show_position(ahead: int) -> None:
        waiting_for = "1 run" if ahead == 1 else f"{ahead} runs"
        run.write_status("queued", message=f"waiting for {waiting_for}")

    with contextlib.ExitStack() as device:
        try:
            # While waiting, too, a request to stop comes from the user and is not a crash.
            with run.held(judge=True), run.stops.interrupting():
                run.stops.check()
                device.enter_context(turn(folder, device_name, on_wait=show_position))
            yield
        except KeyboardInterrupt:
            status = run.read_status()
            if status is not None and status.state == "queued":
                run.write_status("stopped")
                run.stop_file.unlink(missing_ok=True)
            raise

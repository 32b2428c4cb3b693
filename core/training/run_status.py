"""The status of a run, and whether a process works on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from core.system.movement import MOVEMENT
from core.system.process_identity import ProcessRecord
from core.system.work_lock import WorkLock

RunState = Literal["queued", "preparing", "running", "finished", "stopped", "failed"]

STALE_SECONDS: Final = 120.0
"""A run whose status has not changed for so long hangs, or its machine is gone."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Content of `status.json`.

    Attributes:
        state: "stopped" means interrupted by the user; such a run can be resumed.
        step: Batches trained.
        total_steps: Batches of the whole run; 0 until the data are prepared.
        epoch: Epochs finished.
        heartbeat: Time of writing by the clock of the run's machine, in seconds since 1970; shown,
            never compared with another clock.
        pid: Id of the training process; 0 until it has begun.
        process_started: Its `process_identity`, which distinguishes it from a later process with
            the same pid. A number in files of older versions.
        message: Error of a failed run, or what is being prepared or waited for.
        host: Machine of that process; runs on a shared disk may belong to another machine.
        began: Time at which that process started on the run, in seconds since 1970, by the clock of
            `metrics.jsonl`; 0 in files of older versions.
    """

    state: RunState
    step: int
    total_steps: int
    epoch: int
    heartbeat: float
    pid: int
    process_started: str | float | None
    message: str = ""
    host: str = ""
    began: float = 0.0

    @property
    def is_at_work(self) -> bool:
        """Whether the run had not ended at the time of writing."""
        return self.state in ("queued", "preparing", "running")

    @property
    def process(self) -> ProcessRecord:
        """The training process."""
        return ProcessRecord(self.host, self.pid, self.process_started)


def is_alive(lock: WorkLock, status: RunStatus, started: ProcessRecord | None) -> bool:
    """Whether a process works on a run, or is just starting to.

    Args:
        lock: The lock of the run's folder.
        status: The run's status.
        started: The process that was started for it last; None if it is not known.
    """
    return lock.holder() is not None or is_expected(lock, status, started, has_lock=lock.was_used)


def is_expected(
    lock: WorkLock, status: RunStatus, started: ProcessRecord | None, *, has_lock: bool
) -> bool:
    """Whether a process that does not hold the lock is still to take it, or never will.

    It may be starting, or of a version without the lock. On another machine it is then expected
    while the status moves.

    Args:
        lock: The lock of the run's folder.
        status: The run's status.
        started: As for `is_alive`.
        has_lock: Whether the version of the process that wrote the status uses the lock.
    """
    process = status.process if status.pid else started
    if process is not None and process.is_here:
        return process.is_alive
    if status.pid and has_lock:
        return False
    key = f"{lock.folder.absolute()} status"
    return MOVEMENT.seconds_still(key, (status, started)) < STALE_SECONDS

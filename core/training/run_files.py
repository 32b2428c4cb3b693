"""A run's folder as anyone may use it: its files, and starting, stopping and watching a run."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

import yaml

from core.config import RunConfig
from core.errors import HeldError, TrainingError
from core.system.atomic_files import write_json, write_text
from core.system.process_identity import ProcessRecord
from core.system.stop_request import ask_to_stop
from core.system.work_lock import POLL_SECONDS, Hold, WorkLock
from core.training.run_status import RunStatus, is_alive, is_expected

HANDOVER_SECONDS: Final = 1.0
"""Longest wait for a lock that is only held for a moment, by whoever starts or deletes a run."""
LONGEST_NAME: Final = 80
"""Characters of a run's name."""


class RunFiles:
    """Files of a run.

    Attributes:
        folder: Folder of the run.
        lock: Held by the process that works on the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "config.yaml"
        self.status_file = folder / "status.json"
        self.name_file = folder / "name.txt"
        self.metrics_file = folder / "metrics.jsonl"
        self.log_file = folder / "train.log"
        self.checkpoint_file = folder / "last.ckpt"
        self.bundle = folder / "bundle"
        self.stop_file = folder / "stop.request"
        self.started_file = folder / "process.json"
        self.lock = WorkLock(folder / ".lock")

    def request(self, config: RunConfig, name: str = "") -> None:
        """Write the config of a run that another process will start with `resume`.

        Args:
            config: Config of the run.
            name: Name for display; "" for that of the folder.

        Raises:
            TrainingError: The folder already holds a run.
            StorageError: The folder cannot be written.
        """
        if self.config_file.exists():
            raise TrainingError(f"{self.folder} already holds a run; choose another name.")
        if name:
            write_text(self.name_file, name)
        write_text(self.config_file, yaml.safe_dump(config.model_dump(mode="json")))

    def read_name(self) -> str:
        """Name of the run for display; "" if it has none."""
        try:
            lines = self.name_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return lines[0].strip()[:LONGEST_NAME] if lines else ""

    def announce(self) -> None:
        """Record that a process is about to be started for the run, so that it is listed at once.

        Raises:
            TrainingError: A process works on the run, or is starting to.
            StorageError: The folder cannot be written.
        """
        with self.reserved():
            # A request to stop was meant for the process before.
            self.stop_file.unlink(missing_ok=True)
            self.started_file.unlink(missing_ok=True)
            now = time.time()
            status = RunStatus("queued", 0, 0, 0, now, 0, None, "starting", platform.node(), now)
            write_json(self.status_file, asdict(status))

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold the run's lock for a moment, so that no process can begin on the run.

        Raises:
            TrainingError: A process works on the run, or is starting to.
            StorageError: The folder cannot be written.
        """
        with self.take_lock(self.lock.held(wait_s=HANDOVER_SECONDS)) as hold:
            self.check_unattended(hold)
            yield

    @contextmanager
    def take_lock(self, held: AbstractContextManager[Hold]) -> Iterator[Hold]:
        """Hold the run's lock in words about training.

        Raises:
            TrainingError: Another process works on the run.
        """
        try:
            with held as hold:
                yield hold
        except HeldError as error:
            raise TrainingError(
                f"{self.folder} is being trained by process {error.pid} "
                f"({error.host or 'unknown machine'}); wait for it or stop it first."
            ) from error

    def note_started(self, pid: int) -> None:
        """Record the process that was started after `announce`.

        Raises:
            StorageError: The folder cannot be written.
        """
        write_json(self.started_file, asdict(ProcessRecord.of(pid)))

    def note_failed(self, message: str) -> None:
        """Record that no process could be started after `announce`.

        Raises:
            StorageError: The folder cannot be written.
        """
        now = time.time()
        status = RunStatus("failed", 0, 0, 0, now, 0, None, message, platform.node(), now)
        write_json(self.status_file, asdict(status))

    def ask_to_stop(self) -> None:
        """Ask the run's process to stop, wherever it runs.

        Raises:
            StorageError: The folder cannot be written.
        """
        ask_to_stop(self.stop_file)

    def check_unattended(self, hold: Hold, *, judge: bool = False) -> None:
        """Check, under the lock, that no process is starting on the run.

        Args:
            hold: The lock.
            judge: Whether to watch the status that another machine wrote until it is known whether
                it moves.

        Raises:
            TrainingError: One is, or one of a version without the lock works on the run.
        """
        first = status = self.read_status()
        while status is not None and status.is_at_work and not status.process.is_this_one:
            if not is_expected(self.lock, status, self.read_started(), has_lock=hold.number > 1):
                return
            if not judge or status.process.is_here or status != first:
                who = f"process {status.pid} ({status.host})" if status.pid else "a new process"
                raise TrainingError(
                    f"{self.folder} is being trained by {who}; wait for it or stop it first."
                )
            time.sleep(POLL_SECONDS)
            status = self.read_status()

    def is_alive(self, status: RunStatus) -> bool:
        """Whether a process works on the run, or is starting to.

        Args:
            status: The status last read.
        """
        return is_alive(self.lock, status, self.read_started())

    def read_started(self) -> ProcessRecord | None:
        """The process that was started for the run last; None if it is not known."""
        try:
            return ProcessRecord(**json.loads(self.started_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def read_status(self) -> RunStatus | None:
        """Return the status last written, None if there is none.

        Raises:
            TrainingError: `status.json` is not a valid status.
        """
        try:
            return RunStatus(**json.loads(self.status_file.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(
                f"{self.status_file} cannot be read; delete it to continue the run."
            ) from error

"""A run's folder as its worker writes it: config, status, metrics, log and checkpoint."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from core.config import RunConfig
from core.errors import HeldError, StorageError, TrainingError
from core.system.atomic_files import write_json, write_text
from core.system.process_identity import process_identity
from core.system.stop_request import StopRequests
from core.system.work_lock import Hold
from core.training.run_files import HANDOVER_SECONDS, RunFiles
from core.training.run_status import RunState, RunStatus
from core.training.stops import Stops

HEARTBEAT_SECONDS: Final = 2.0
_log = logging.getLogger("core.training")


class RunFolder(RunFiles):
    """A run's folder as the process that works on it uses it.

    Attributes:
        stops: Requests to stop.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stops = Stops()
        self._hold: Hold | None = None
        self._is_lost = False
        self._requests = StopRequests(self.stop_file)
        self._beaten = -math.inf
        self._last_status = RunStatus(
            "preparing", 0, 0, 0, 0.0, os.getpid(), process_identity(os.getpid()),
            host=platform.node(), began=time.time(),
        )  # fmt: skip

    def start(self, config: RunConfig, *, resume: bool) -> None:
        """Make the folder and write the config; with `resume`, check that it is the same run.

        Raises:
            TrainingError: A new run would overwrite an old one, another process is training the
                run, or a resumed run was started with another config.
            StorageError: The folder cannot be written.
        """
        with self.held(wait_s=HANDOVER_SECONDS, judge=True) as hold:
            status = self.read_status()
            if status is not None and status.pid:  # Otherwise it is this process that was expected.
                self.check_unattended(hold, judge=True)
            if self.config_file.exists():
                if not resume:
                    raise TrainingError(
                        f"{self.folder} already holds a run; choose another folder, or resume it."
                    )
                self._check_same(config)
            write_text(self.config_file, yaml.safe_dump(config.model_dump(mode="json")))
            self.write_status("preparing")

    @contextmanager
    def held(self, *, wait_s: float = 0.0, judge: bool = False) -> Iterator[Hold]:
        """Hold the run's lock for the length of the block, and heed requests to stop.

        Args:
            wait_s: Longest time to wait for a living holder.
            judge: Whether to watch a holder on another machine until it is known to live or not.

        Raises:
            TrainingError: Another process works on the run.
            StorageError: The folder cannot be written.
        """
        lock = self.lock.held(wait_s=wait_s, judge=judge, on_refresh=self._heed)
        with self.take_lock(lock) as hold:
            if not self._is_awaited():
                self._requests.clear()
            self._hold = hold
            try:
                yield hold
            finally:
                self._hold = None

    def check_held(self) -> None:
        """Check that the folder is still this process's to write.

        Raises:
            HeldError: Another process has taken it over, as this one was frozen for too long.
        """
        if self._hold is not None:
            self._hold.check()

    @property
    def last_status(self) -> RunStatus:
        """The status as this process knows it; on disk it may be a heartbeat older."""
        return self._last_status

    def write_status(self, state: RunState, **changes: Any) -> None:  # noqa: ANN401 - RunStatus fields
        """Replace `status.json`; fields not named keep their value."""
        fields = {"state": state, "heartbeat": time.time(), "message": ""} | changes
        self.check_held()
        self._last_status = replace(self._last_status, **fields)
        write_json(self.status_file, asdict(self._last_status))
        self._beaten = time.monotonic()

    def beat(self, *, step: int, epoch: int) -> None:
        """Refresh a running run's status, at most every `HEARTBEAT_SECONDS`."""
        # Kept even if it is not written: a stopped run reports how far it came.
        self._last_status = replace(self._last_status, step=step, epoch=epoch)
        # The wall clock may jump, so the time between two beats is measured without it.
        if time.monotonic() - self._beaten >= HEARTBEAT_SECONDS:
            self.write_status("running")

    def append_metrics(self, event: str, **values: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one line to `metrics.jsonl`: {"event": ..., "time": ISO 8601 UTC, ...}."""
        self.check_held()
        line = json.dumps({"event": event, "time": _now(), **values}, allow_nan=False)
        try:
            with self.metrics_file.open("a") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise StorageError(
                f"Cannot write {self.metrics_file}: {error.strerror}; free some space."
            ) from error

    def drop_metrics_after(self, step: int, epoch: int) -> None:
        """Remove the lines that a resumed run will write again.

        Args:
            step: Batches that the run has trained.
            epoch: Epochs that the run has finished; a measure at `step` may belong to a later one.
        """
        if not self.metrics_file.exists():
            return
        lines = self.metrics_file.read_text().splitlines()
        kept = [line for line in lines if not _is_beyond(line, step, epoch)]
        write_text(self.metrics_file, "".join(line + "\n" for line in kept))

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Log to `train.log` and write the final state, however the run ends.

        A request to terminate counts as an interruption by the user, like Ctrl+C. While `stops` are
        deferred, the first one waits; a second interrupts at once.
        """
        with self.held(), self.stops.interrupting():
            handler = logging.FileHandler(self.log_file)
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            _log.addHandler(handler)
            _log.setLevel(logging.INFO)
            try:
                self.stops.check()
                yield
            except KeyboardInterrupt:
                _log.info("Stopped by the user.")
                self.write_status("stopped")
                self._requests.clear()
                raise
            except HeldError:
                _log.exception("The run was taken over by another process.")
                raise
            except Exception as error:
                _log.exception("The run failed.")
                self.write_status("failed", message=str(error))
                raise
            else:
                self.write_status("finished")
            finally:
                _log.removeHandler(handler)
                handler.close()

    def _is_awaited(self) -> bool:
        """Whether a request to stop is meant for this process."""
        with suppress(TrainingError):
            status = self.read_status()
            return status is not None and (not status.pid or status.process.is_this_one)
        return False

    def _heed(self) -> None:
        """Pass a request to stop on; runs in the lock's thread."""
        hold = self._hold
        # A run that was taken over is interrupted once; it then finds that it may not write.
        is_lost = hold is not None and hold.is_lost and not self._is_lost
        self._is_lost = self._is_lost or is_lost
        if self._requests.take() or is_lost:
            self.stops.ask()

    def _check_same(self, config: RunConfig) -> None:
        """Check that only the data root and the device differ on resuming."""
        written = yaml.safe_load(self.config_file.read_text()) or {}
        current = config.model_dump(mode="json")
        # A run that began before an option was added used its default.
        defaults = RunConfig(task=config.task, data_root=config.data_root).model_dump(mode="json")
        before = defaults | written
        # A queued run is written before its device is known.
        if before["precision"] == "auto":
            before["precision"] = current["precision"]
        free = {"data_root", "device"}
        changed = sorted(key for key in current if key not in free and current[key] != before[key])
        if changed:
            raise TrainingError(
                f"{self.folder} was started with another {changed[0]}; resume with its own "
                f"{self.config_file.name}, or start a new run."
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _is_beyond(line: str, step: int, epoch: int) -> bool:
    """Whether a metrics line is later than a step and epoch; a line cut off by a crash counts."""
    try:
        found = json.loads(line)
        of_epoch = found["event"] != "step" and int(found["epoch"]) > epoch
        return int(found["step"]) > step or of_epoch
    except (ValueError, KeyError, TypeError):
        return True


class FollowerRun(RunFolder):
    """Run folder of a process other than rank 0, which reads and writes nothing."""

    def start(self, config: RunConfig, *, resume: bool) -> None:
        """Do nothing; rank 0 does."""

    def write_status(self, state: RunState, **changes: Any) -> None:  # noqa: ANN401 - as in RunFolder
        """Do nothing; rank 0 does."""

    def append_metrics(self, event: str, **values: Any) -> None:  # noqa: ANN401 - as in RunFolder
        """Do nothing; rank 0 does."""

    def drop_metrics_after(self, step: int, epoch: int) -> None:
        """Do nothing; rank 0 does."""

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Do nothing; rank 0 does."""
        yield

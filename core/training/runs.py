"""A run's folder: config, status, metrics, log and checkpoint."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal

import yaml

from core.config import RunConfig
from core.errors import StorageError, TrainingError
from core.system.atomic_files import write_json, write_text
from core.system.process_identity import is_same_process, process_identity

SignalHandler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None
RunState = Literal["queued", "preparing", "running", "finished", "stopped", "failed"]

HEARTBEAT_SECONDS: Final = 2.0
STALE_SECONDS: Final = 120.0
"""With an older heartbeat a run hangs, or its machine is gone."""
_log = logging.getLogger("core.training")


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Content of `status.json`.

    Attributes:
        state: "stopped" means interrupted by the user; such a run can be resumed.
        step: Batches trained.
        total_steps: Batches of the whole run; 0 until the data are prepared.
        epoch: Epochs finished.
        heartbeat: Time of writing, in seconds since 1970.
        pid: Id of the training process.
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
    def is_trained_elsewhere(self) -> bool:
        """Whether another living process is working on the run."""
        return self.is_at_work and self.pid != os.getpid() and self.is_alive

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; on another machine, whether its heartbeat is recent."""
        if self.host not in ("", platform.node()):
            return time.time() - self.heartbeat < STALE_SECONDS
        return is_same_process(self.pid, self.process_started)


class RunFolder:
    """Paths and writers of one run's folder.

    Attributes:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "config.yaml"
        self.status_file = folder / "status.json"
        self.metrics_file = folder / "metrics.jsonl"
        self.log_file = folder / "train.log"
        self.checkpoint_file = folder / "last.ckpt"
        self.bundle = folder / "bundle"
        self.stops = Stops()
        self._beaten = -math.inf
        self._last_status = RunStatus(
            "preparing", 0, 0, 0, 0.0, os.getpid(), process_identity(os.getpid()),
            host=platform.node(), began=time.time(),
        )  # fmt: skip

    def request(self, config: RunConfig) -> None:
        """Write the config of a run that another process will start with `resume`.

        Raises:
            TrainingError: The folder already holds a run.
            StorageError: The folder cannot be written.
        """
        if self.config_file.exists():
            raise TrainingError(f"{self.folder} already holds a run; choose another name.")
        write_text(self.config_file, yaml.safe_dump(config.model_dump(mode="json")))

    def expect(self, pid: int) -> None:
        """Record the process that was started for the run, so that it is listed at once.

        Raises:
            StorageError: The folder cannot be written.
        """
        status = replace(
            self._last_status, state="queued", pid=pid, process_started=process_identity(pid),
            heartbeat=time.time(), message="starting",
        )  # fmt: skip
        write_json(self.status_file, asdict(status))

    def start(self, config: RunConfig, *, resume: bool) -> None:
        """Make the folder and write the config; with `resume`, check that it is the same run.

        Raises:
            TrainingError: A new run would overwrite an old one, another process is training the
                run, or a resumed run was started with another config.
            StorageError: The folder cannot be written.
        """
        status = self.read_status()
        if status is not None and status.is_trained_elsewhere:
            raise TrainingError(
                f"{self.folder} is being trained by process {status.pid}; wait for it or stop it "
                "first."
            )
        if self.config_file.exists():
            if not resume:
                raise TrainingError(
                    f"{self.folder} already holds a run; choose another folder, or resume it."
                )
            self._check_same(config)
        write_text(self.config_file, yaml.safe_dump(config.model_dump(mode="json")))
        self.write_status("preparing")

    def write_status(self, state: RunState, **changes: Any) -> None:  # noqa: ANN401 - RunStatus fields
        """Replace `status.json`; fields not named keep their value."""
        fields = {"state": state, "heartbeat": time.time(), "message": ""} | changes
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

    def append_metrics(self, event: str, **values: Any) -> None:  # noqa: ANN401 - JSON values
        """Append one line to `metrics.jsonl`: {"event": ..., "time": ISO 8601 UTC, ...}."""
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
        handler = logging.FileHandler(self.log_file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        _log.addHandler(handler)
        _log.setLevel(logging.INFO)
        previous = _interrupt_on_signals(self.stops)
        try:
            yield
        except KeyboardInterrupt:
            _log.info("Stopped by the user.")
            self.write_status("stopped")
            raise
        except Exception as error:
            _log.exception("The run failed.")
            self.write_status("failed", message=str(error))
            raise
        else:
            self.write_status("finished")
        finally:
            for number, handler_before in previous.items():
                signal.signal(number, handler_before)
            _log.removeHandler(handler)
            handler.close()

    def _check_same(self, config: RunConfig) -> None:
        """Check that only the data root and the device differ on resuming."""
        written = yaml.safe_load(self.config_file.read_text()) or {}
        current = config.model_dump(mode="json")
        # A run that began before an option was added used its default.
        defaults = RunConfig(task=config.task, data_root=config.data_root).model_dump(mode="json")
        before = defaults | written
        free = {"data_root", "device"}
        changed = sorted(key for key in current if key not in free and current[key] != before[key])
        if changed:
            raise TrainingError(
                f"{self.folder} was started with another {changed[0]}; resume with its own "
                f"{self.config_file.name}, or start a new run."
            )


class Stops:
    """Requests to stop a run, which may be deferred until its state is saved.

    Attributes:
        asked: Whether a request is pending.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block a first request only sets `asked`; it interrupts after the block."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.asked:
            raise KeyboardInterrupt

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Record the request, or interrupt.

        Raises:
            KeyboardInterrupt: Requests are not deferred, or one is pending already.
        """
        if self.asked or not self._deferred:
            raise KeyboardInterrupt
        self.asked = True


def _interrupt_on_signals(stops: Stops) -> dict[int, SignalHandler]:
    """Turn SIGTERM and SIGINT into KeyboardInterrupt; return the handlers to restore.

    SIGINT, too, as a process started in the background inherits that it is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}  # Python sets signal handlers in the main thread only.
    return {
        number: signal.signal(number, stops.on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }


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

"""Runs are reported to MLflow while they train, by a thread that reads what they write.

The training loop does not know of it: a tracker that is slow, fails or hangs holds nothing up.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigError, TrainingError
from core.system.atomic_files import write_json
from core.training.run_files import RunFiles
from core.training.run_status import RunStatus

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT: Final = "C-Spine Fracture Lab"
RECORD_FILE: Final = "tracker.json"
EVERY_SECONDS: Final = 2.0
LONGEST_PAUSE: Final = 60.0
LAST_SECONDS: Final = 60.0
"""How long the end of a command waits for a tracker that does not answer."""
_LONGEST_VALUE: Final = 6000
"""Characters of a parameter's value that MLflow takes."""
_ENDS: Final = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_PREFIXES: Final = {"step": "training", "validation": "validation", "epoch": "epoch"}
_log = logging.getLogger("core.training")


class TrackerSettings(BaseSettings):
    """The tracker, from the environment.

    Attributes:
        tracker: "" for none; "mlflow" for a folder of this installation; or the address of an
            MLflow store, such as `http://127.0.0.1:5000` or `sqlite:///runs.db`.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    tracker: str = ""

    def address(self, var: Path) -> str | None:
        """Address of the MLflow store; None without a tracker.

        Args:
            var: Folder of the installation's own data.

        Raises:
            ConfigError: The value is neither "mlflow" nor an address.
        """
        text = self.tracker.strip()
        if text == "mlflow":
            return (var.absolute() / "mlflow").as_uri()
        if text and ":" not in text:
            raise ConfigError(
                f"TRACKER is {text!r}; set it to mlflow or to the address of an MLflow server."
            )
        return text or None


@contextmanager
def tracked(folder: Path, address: str | None) -> Iterator[None]:
    """Report the runs that this process trains in a folder, or in folders in it, to a tracker.

    Args:
        folder: Folder of a run, or of several.
        address: From `TrackerSettings.address`; None to report nothing.
    """
    if address is None:
        yield
        return
    follower = _Follower(folder, address)
    thread = threading.Thread(target=follower.follow, name="tracker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        follower.ending.set()
        thread.join(LAST_SECONDS)
        if thread.is_alive():
            _log.warning("The tracker does not answer; the end of the run is not reported.")


@dataclass(slots=True)
class _Follower:
    """Reports the runs of a folder until their command ends."""

    folder: Path
    address: str
    ending: threading.Event = field(default_factory=threading.Event)
    _client: MlflowClient | None = None
    _runs: dict[Path, _TrackedRun] = field(default_factory=dict[Path, "_TrackedRun"])
    _failed: bool = False

    def follow(self) -> None:
        pause, is_last = EVERY_SECONDS, False
        while not is_last:
            is_last = self.ending.wait(pause)
            pause = EVERY_SECONDS if self._report(is_last=is_last) else 2 * pause
            pause = min(pause, LONGEST_PAUSE)

    def _report(self, *, is_last: bool) -> bool:
        """Send what is new; whether that went well."""
        try:
            client = self._connected()
            for place in [self.folder, *sorted(self.folder.glob("*/")), *self.folder.glob("*/*/")]:
                if place not in self._runs and _is_own(place):
                    self._runs[place] = _TrackedRun(RunFiles(place), self.address)
            for run in self._runs.values():
                run.send(client, is_last=is_last)
        except Exception as error:  # noqa: BLE001 - whatever fails, the run goes on
            if not self._failed:
                _log.warning("The tracker does not take the run (%s).", type(error).__name__)
            self._failed = True
            return False
        if self._failed:
            _log.info("The tracker takes the run again.")
        self._failed = False
        return True

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = _client(self.address)
        return self._client


@dataclass(slots=True)
class _TrackedRun:
    """One run, and how far it has been reported."""

    files: RunFiles
    address: str
    _number: str = ""
    _sent: str = ""
    _ended: bool = False

    def send(self, client: MlflowClient, *, is_last: bool) -> None:
        """Send the lines of metrics that are new, and the bundle once the run has ended."""
        if self._ended:
            return
        if not self._number:
            self._begin(client)
        lines = _lines_after(self.files.metrics_file, self._sent)
        for start in range(0, len(lines), 100):
            part = lines[start : start + 100]
            client.log_batch(self._number, metrics=[m for line in part for m in _metrics(line)])
            self._sent = part[-1]["time"]
            self._note()
        state = _status(self.files)
        ended = None if state is None else _ENDS.get(state.state)
        if ended is None and is_last:
            ended = "KILLED"
        if ended is not None:
            self._send_files(client)
            client.set_terminated(self._number, ended)
            self._ended = True

    def _begin(self, client: MlflowClient) -> None:
        """Make the run at the tracker, or take up the one that an interrupted run had there."""
        known = _read(self.files.folder / RECORD_FILE)
        if known.get("address") == self.address:
            self._number, self._sent = known["run_id"], known["sent"]
            client.update_run(self._number, status="RUNNING")
            return
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        name = self.files.read_name() or self.files.folder.name
        number = client.create_run(experiment, run_name=name).info.run_id
        _describe(client, number, self.files)
        self._number = number
        self._note()

    def _note(self) -> None:
        record = {"address": self.address, "run_id": self._number, "sent": self._sent}
        write_json(self.files.folder / RECORD_FILE, record)

    def _send_files(self, client: MlflowClient) -> None:
        if self.files.bundle.is_dir():
            client.log_artifacts(self._number, str(self.files.bundle), "bundle")
        for file in (self.files.config_file, self.files.metrics_file, self.files.log_file):
            if file.is_file():
                client.log_artifact(self._number, str(file), "run")
        curves = self.files.folder / "tensorboard"
        if curves.is_dir():
            client.log_artifacts(self._number, str(curves), "curves")


def _describe(client: MlflowClient, number: str, files: RunFiles) -> None:
    """Send parameters, commit and data set of a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

    config = yaml.safe_load(files.config_file.read_text(encoding="utf-8"))
    origin = _read(files.folder / "provenance.json")
    params = [Param(key, str(value)[:_LONGEST_VALUE]) for key, value in config.items()]
    fingerprint = str(origin.get("data_fingerprint", ""))
    tags = {
        "mlflow.source.git.commit": str(origin.get("git_commit", "")),
        "mlflow.source.name": "python -m core train",
        "git_dirty": str(origin.get("git_dirty", "")),
        "data_fingerprint": fingerprint,
    }
    client.log_batch(number, params=params, tags=[RunTag(*tag) for tag in tags.items()])
    data = Dataset(
        Path(config["data_root"]).name, fingerprint[:36], "local", json.dumps(config["data_root"])
    )
    client.log_inputs(number, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def _metrics(line: Mapping[str, Any]) -> list[Any]:
    """The numbers of a line of metrics, those in objects under the names of both."""
    from datetime import datetime

    from mlflow.entities import Metric

    when = int(datetime.fromisoformat(line["time"]).timestamp() * 1000)
    prefix = _PREFIXES.get(line["event"], str(line["event"]))
    return [
        Metric(f"{prefix}/{name}", value, when, int(line["step"])) for name, value in _numbers(line)
    ]


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, float(value)


def _lines_after(file: Path, time_sent: str) -> list[dict[str, Any]]:
    """Whole lines of metrics that were written after a time."""
    with suppress(OSError):
        text = file.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in lines if line["time"] > time_sent and "step" in line]
    return []


def _is_own(place: Path) -> bool:
    """Whether this process trains the run in a folder, and has prepared its data."""
    files = RunFiles(place)
    status = _status(files)
    if status is None or not (place / "provenance.json").is_file():
        return False
    return status.process.is_this_one


def _status(files: RunFiles) -> RunStatus | None:
    with suppress(TrainingError):
        return files.read_status()
    return None


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return json.loads(file.read_text(encoding="utf-8"))
    return {}


def _client(address: str) -> MlflowClient:
    # Read by MLflow when it is imported: nothing is sent to anybody but the tracker.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    if address.startswith("file:"):
        # MLflow keeps stores in folders working, but asks for a word before it opens one.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    began = time.monotonic()
    # Imported here because it takes seconds.
    from mlflow import MlflowClient

    _log.info("MLflow was imported in %.1f s.", time.monotonic() - began)
    return MlflowClient(tracking_uri=address)

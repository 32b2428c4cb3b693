"""Folder of a search: its config, Optuna's journal, and the processes that work on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import yaml
from filelock import FileLock

from core.errors import ConfigError, StorageError
from core.experiments.sweep_config import SweepConfig, load_sweep_config
from core.system.atomic_files import write_json, write_text
from core.system.followed_work import FollowedWork
from core.system.process_identity import ProcessRecord
from core.system.stop_request import ask_to_stop

PROGRESS_FILE: Final = "progress.json"
PROCESS_FILE: Final = "process.json"


class SweepFiles:
    """Files of a search.

    Attributes:
        folder: Folder of the search, with one run folder per trial.
        config_file: The search as it was asked for.
        journal: Optuna's journal of trials, which all workers share.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "sweep.yaml"
        self.journal = folder / "optuna.journal"
        self._workers = folder / "workers"

    def keep(self, sweep: SweepConfig) -> None:
        """Write the config of a new search; of one that is continued, its trials and name.

        Raises:
            ConfigError: The folder holds another search.
            StorageError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.folder} cannot be made ({error.strerror}); check its permissions."
            ) from error
        known = load_sweep_config(self.config_file) if self.config_file.is_file() else sweep
        if not known.is_same_search(sweep):
            raise ConfigError(
                f"{self.folder} holds another search; choose another folder or remove it."
            )
        write_text(self.config_file, yaml.safe_dump(sweep.model_dump(mode="json"), sort_keys=False))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within the block, no other worker takes a trial."""
        with FileLock(self.folder / ".lock"):
            yield

    def run_folder(self, number: int) -> Path:
        """Run folder of a trial."""
        return self.folder / f"trial-{number:04d}"

    def new_worker(self) -> FollowedWork:
        """Make the folder of one more worker.

        Raises:
            StorageError: It cannot be made.
        """
        folder = self._workers / secrets.token_hex(6)
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise StorageError(
                f"{folder} cannot be made ({error.strerror}); check its permissions."
            ) from error
        return FollowedWork(folder / PROGRESS_FILE)

    def note_started(self, worker: FollowedWork, pid: int) -> None:
        """Record the process of a worker, which has yet to take its lock.

        Raises:
            StorageError: The folder cannot be written.
        """
        write_json(worker.progress.with_name(PROCESS_FILE), asdict(ProcessRecord.of(pid)))

    def workers(self) -> list[FollowedWork]:
        """All workers that ever took part."""
        return [FollowedWork(path / PROGRESS_FILE) for path in sorted(self._workers.glob("*"))]

    def living_workers(self) -> list[FollowedWork]:
        """The workers that are searching, or just starting."""
        return [worker for worker in self.workers() if _is_alive(worker)]

    def ask_to_stop(self) -> None:
        """Ask all workers to stop, wherever they run; each interrupts its trial.

        Raises:
            StorageError: A request cannot be written.
        """
        for worker in self.living_workers():
            ask_to_stop(worker.stop_file)

    def problem(self) -> str:
        """Why the worker that failed last has failed; "" if none has."""
        reported = [_read(worker.progress) for worker in self.workers()]
        failed = [one for one in reported if one.get("state") == "failed"]
        latest = max(failed, key=lambda one: float(one.get("updated", 0)), default={})
        return str(latest.get("message", ""))


def _is_alive(worker: FollowedWork) -> bool:
    if worker.lock.holder() is not None:
        return True
    with suppress(TypeError):
        started = ProcessRecord(**_read(worker.progress.with_name(PROCESS_FILE)))
        return started.is_here and started.is_alive
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

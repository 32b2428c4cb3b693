"""Hyper-parameter searches as separate processes, which outlive a browser tab and the dashboard."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.config import RunConfig
from core.errors import ConfigError, StorageError, TrainingError
from core.experiments.sweep_config import SweepConfig, load_sweep_config
from core.experiments.sweep_files import SweepFiles
from core.experiments.sweep_results import TrialRow
from core.system.atomic_files import hidden_folder, move_into_place, write_text
from core.system.disk_space import check_space, tree_bytes
from dashboard.background.processes import new_folder, remove_folder
from dashboard.session.settings import settings
from dashboard.training.run_processes import SUPERVISOR, check_folders

MOST_WORKERS: Final = max(min(os.cpu_count() or 1, 16), 2)
"""Workers of one search on this machine."""
_FOLDERS: Final = {"data_root", "annotations", "vertebra_bundle", "init_from"}


@dataclass(frozen=True, slots=True)
class SweepSummary:
    """One search.

    Attributes:
        sweep_id: Name of its folder.
        folder: Its folder.
        sweep: The search; None if its file cannot be read.
        workers: Number of processes that are searching.
        problem: Why the file cannot be read, or why the last worker that failed has; "" otherwise.
    """

    sweep_id: str
    folder: Path
    sweep: SweepConfig | None
    workers: int
    problem: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether a process is searching."""
        return self.workers > 0

    @property
    def name(self) -> str:
        """Name for display."""
        return (self.sweep.name if self.sweep else "") or self.sweep_id


def all_sweeps() -> list[SweepSummary]:
    """The searches of this installation, the latest first."""
    found = settings().runs_root.glob("[!.]*/sweep.yaml")
    return [read_sweep(path.parent) for path in sorted(found, reverse=True)]


def read_sweep(folder: Path) -> SweepSummary:
    """Read the folder of a search."""
    files = SweepFiles(folder)
    workers = len(files.living_workers())
    try:
        sweep = load_sweep_config(files.config_file)
    except ConfigError as error:
        return SweepSummary(folder.name, folder, None, workers, str(error))
    return SweepSummary(folder.name, folder, sweep, workers, "" if workers else files.problem())


def start_sweep(sweep: SweepConfig, workers: int) -> Path:
    """Start a search with several processes.

    Args:
        sweep: The search.
        workers: Number of processes, 1 to `MOST_WORKERS`.

    Returns:
        The folder of the search.

    Raises:
        TrainingError: The dashboard is read-only, a process cannot be started, or a folder varies.
        DataRootError: The user may not use a folder of the config.
        StorageError: The folder cannot be written.
    """
    SUPERVISOR.check_allowed()
    config = RunConfig(**sweep.base)
    check_folders(config)
    if varied := sorted(_FOLDERS & set(sweep.space)):
        raise TrainingError(f"{varied[0]} cannot vary in a search from here; choose one folder.")
    current = settings()
    check_space(current.runs_root, 0, current.keep_free_bytes)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-sweep-{config.task}"
    folder = new_folder(current.runs_root, name)
    SweepFiles(folder).keep(sweep)
    _add_workers(folder, workers)
    return folder


def resume_sweep(summary: SweepSummary, trials: int, workers: int) -> None:
    """Continue a search, or add trials or workers to it.

    Args:
        summary: The search.
        trials: Number of trials in all.
        workers: Number of processes to start.

    Raises:
        TrainingError: The dashboard is read-only, the search is unreadable, or a process cannot be
            started.
        DataRootError: The user may not use a folder of the config.
        StorageError: The folder cannot be written.
    """
    SUPERVISOR.check_allowed()
    now = read_sweep(summary.folder)
    if now.sweep is None:
        raise TrainingError(now.problem)
    check_folders(RunConfig(**now.sweep.base))
    SweepFiles(now.folder).keep(now.sweep.model_copy(update={"trials": trials}))
    _add_workers(now.folder, workers)


def stop_sweep(summary: SweepSummary) -> None:
    """Ask all workers of a search to stop, on whichever machine they run.

    Raises:
        TrainingError: The dashboard is read-only.
        StorageError: A request cannot be written.
    """
    SUPERVISOR.check_allowed()
    SweepFiles(summary.folder).ask_to_stop()


def delete_sweep(summary: SweepSummary) -> None:
    """Delete a search with the runs of all its trials.

    Raises:
        TrainingError: The dashboard is read-only, or a worker is still searching.
        StorageError: The folder cannot be removed.
    """
    SUPERVISOR.check_allowed()
    if read_sweep(summary.folder).is_alive:
        raise TrainingError(f"Sweep {summary.sweep_id} is still searching; stop it first.")
    remove_folder(summary.folder, f"Sweep {summary.sweep_id}")


def keep_trial(trial: TrialRow, name: str) -> Path:
    """Copy the run of a finished trial out of its sweep, to evaluate and keep it like any other.

    Args:
        trial: The trial.
        name: Name of the run.

    Returns:
        The folder of the run.

    Raises:
        TrainingError: The dashboard is read-only, or the run is gone.
        StorageError: It cannot be copied.
    """
    SUPERVISOR.check_allowed()
    current = settings()
    if not (trial.run / "status.json").is_file():
        raise TrainingError(f"The run of trial {trial.number} was deleted; keep another one.")
    check_space(current.runs_root, tree_bytes(trial.run), current.keep_free_bytes)
    target = new_folder(current.runs_root, f"{trial.run.parent.name}-{trial.run.name}")
    try:
        with hidden_folder(current.runs_root, target.name) as copy:
            # Locks and requests were the worker's.
            left = shutil.ignore_patterns(".*", "stop.request")
            shutil.copytree(trial.run, copy, dirs_exist_ok=True, ignore=left)
            write_text(copy / "name.txt", name)
            move_into_place(copy, target)
    except OSError as error:
        raise StorageError(
            f"The run cannot be copied ({error.strerror}); free some space."
        ) from error
    return target


def _add_workers(folder: Path, workers: int) -> None:
    files = SweepFiles(folder)
    if len(files.living_workers()) + workers > MOST_WORKERS:
        raise TrainingError(f"A sweep has at most {MOST_WORKERS} workers here; start fewer.")
    for _ in range(workers):
        worker = files.new_worker()
        pid = SUPERVISOR.start(
            worker.progress.parent, "sweep", str(files.config_file),
            "--out", str(folder), "--progress-file", str(worker.progress),
        )  # fmt: skip
        files.note_started(worker, pid)

"""Training runs as separate processes, which outlive a browser tab and a dashboard restart."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

import yaml

from core.config import RunConfig
from core.errors import TrainingError
from core.system.disk_space import check_space
from core.training.run_files import RunFiles
from core.training.run_list import RunSummary, list_runs, summarise_run
from core.training.run_notes import RunNotes, write_notes
from dashboard.background.processes import ProcessSupervisor, new_folder, remove_folder, run_core
from dashboard.session.settings import settings
from dashboard.session.typed_path import browsable

PACE_SECONDS: Final = 180.0
SUPERVISOR: Final = ProcessSupervisor(TrainingError, "to train from it")


def all_runs() -> list[RunSummary]:
    """The runs of this installation, the most recently active first."""
    return list_runs(settings().runs_root)


def check_folders(config: RunConfig) -> None:
    """Check that the user may use the folders that a config names.

    Raises:
        DataRootError: They are neither of this installation nor the user's to open.
    """
    current = settings()
    offered = [current.data_root, current.demo_root, current.checkpoints, current.runs_root]
    offered += [current.cspine_var / name for name in ("cohorts", "training", "annotations")]
    named = (config.data_root, config.annotations, config.vertebra_bundle, config.init_from)
    for folder in named:
        if folder is not None:
            browsable(folder, offered=offered)


def start_run(config: RunConfig, name: str = "") -> Path:
    """Start a training run as a process; it waits for its turn on the device.

    Args:
        config: Config of the run.
        name: Name for display; "" for that of the folder.

    Returns:
        The run's folder.

    Raises:
        TrainingError: The dashboard is read-only, or the process cannot be started.
        DataRootError: The user may not use a folder of the config.
        StorageError: The folder cannot be written.
    """
    SUPERVISOR.check_allowed()
    check_folders(config)
    current = settings()
    check_space(current.runs_root, 0, current.keep_free_bytes)
    kind = f"{config.task}{config.type}-{config.backbone}"
    folder = new_folder(settings().runs_root, f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}")
    RunFiles(folder).request(config, name)
    _launch(folder)
    return folder


def resume_run(run: RunSummary) -> None:
    """Resume a run that was stopped, failed, crashed or stalled.

    The process of a stalled run is killed first, with its child processes.

    Raises:
        TrainingError: The dashboard is read-only, or the run is alive, finished or unreadable, or
            its process cannot be killed.
        StorageError: The folder cannot be written.
    """
    SUPERVISOR.check_allowed()
    now = summarise_run(run.folder)
    if not now.can_resume:
        raise TrainingError(
            f"Run {run.run_id} is {now.state}, so it cannot be resumed; duplicate it instead."
        )
    if now.state == "stalled" and now.status is not None:
        known = RunFiles(run.folder)
        process = known.lock.holder() or known.read_started() or now.status.process
        SUPERVISOR.end(process, f"Run {run.run_id}", at_once=True)
    _launch(run.folder)


def stop_run(run: RunSummary) -> None:
    """Ask a run to stop, on whichever machine it runs; it keeps its state and can be resumed.

    Raises:
        TrainingError: The dashboard is read-only, or the run's process looks for no request, as
            it is of an older version, and belongs to another user or machine.
        StorageError: The request cannot be written.
    """
    SUPERVISOR.check_allowed()
    now = summarise_run(run.folder)
    if not now.is_alive or now.status is None:
        return
    files = RunFiles(run.folder)
    files.ask_to_stop()
    if now.status.pid and not files.lock.was_used:
        SUPERVISOR.end(now.status.process, f"Run {run.run_id}", at_once=False)


def delete_run(run: RunSummary) -> None:
    """Delete a run's folder.

    Raises:
        TrainingError: The dashboard is read-only, or the run is still active.
        StorageError: The folder cannot be removed.
    """
    SUPERVISOR.check_allowed()
    if summarise_run(run.folder).is_alive:
        raise TrainingError(f"Run {run.run_id} is still active; stop it first.")
    with RunFiles(run.folder).reserved():
        remove_folder(run.folder, f"Run {run.run_id}")


def save_notes(run: RunSummary, notes: RunNotes) -> None:
    """Replace the notes on a run, whether it is active or not, and of whichever machine it is.

    Raises:
        TrainingError: The dashboard is read-only, or the run is gone.
        StorageError: They cannot be written.
    """
    SUPERVISOR.check_allowed()
    write_notes(run.folder, notes)


def measure_pace(config: RunConfig) -> None:
    """Measure the network's training speed in a separate process and keep it for estimates.

    Raises:
        TrainingError: The dashboard is read-only, or the process failed or took too long.
        DataRootError: The user may not use a folder of the config.
    """
    _run_on(config, "pace", "The pace could not be measured", "choose a smaller input size")


def try_batch(config: RunConfig) -> None:
    """Train one batch of a few studies in a separate process, which keeps nothing.

    Raises:
        TrainingError: The dashboard is read-only, or the batch failed, or took too long.
        DataRootError: The user may not use a folder of the config.
    """
    _run_on(config, "try", "One batch could not be trained", "try a smaller input size")


def _run_on(config: RunConfig, command: str, failed: str, remedy: str) -> None:
    """Run a short command on a config, to its end."""
    SUPERVISOR.check_allowed()
    check_folders(config)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        try:
            problem = run_core(command, str(path), seconds=PACE_SECONDS)
        except OSError as error:
            raise TrainingError(
                f"{failed} within {PACE_SECONDS:g} s; {remedy} or batch."
            ) from error
    if problem is not None:
        raise TrainingError(f"{failed}: {problem}")


def _launch(folder: Path) -> None:
    files = RunFiles(folder)
    # Recorded before there is a process: another dashboard cannot start a second one, and a crash
    # of this one in between leaves a run that can be resumed.
    files.announce()
    options = ["--run-dir", str(folder), "--resume", "--queue"]
    try:
        pid = SUPERVISOR.start(folder, "train", str(files.config_file), *options)
    except TrainingError as error:
        files.note_failed(str(error))
        raise
    files.note_started(pid)

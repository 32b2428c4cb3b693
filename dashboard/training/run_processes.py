"""Training runs as processes of their own: they outlive a browser tab and a dashboard restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
import yaml

from core.config import PROJECT_ROOT, RunConfig, Settings
from core.errors import StorageError, TrainingError
from core.system.disk_space import check_space
from core.training.run_list import RunSummary, list_runs, summarise_run
from core.training.runs import RunFolder
from dashboard.background.processes import remove_whole, start_apart
from dashboard.session.access import refusal

OUTPUT_FILE: Final = "output.log"
"""What the process prints; the only trace of one that fails before it can open its log."""
PACE_SECONDS: Final = 180.0
KILL_SECONDS: Final = 10.0
"""A killed process that is still there after this waits for a disk."""


def all_runs() -> list[RunSummary]:
    """The runs of this installation, the most recently active first."""
    return list_runs(Settings().runs_root)


def start_run(config: RunConfig) -> Path:
    """Start a training in a process of its own; it waits its turn for the device.

    Args:
        config: The run.

    Returns:
        The run's folder.

    Raises:
        TrainingError: The dashboard is read-only, or the process cannot be started.
        StorageError: The folder cannot be written.
    """
    _check_allowed()
    check_space(Settings().runs_root, 0)
    folder = _free_folder(config)
    RunFolder(folder).request(config)
    _launch(folder)
    return folder


def resume_run(run: RunSummary) -> None:
    """Go on with a run that was stopped, failed or crashed, or that gives no sign of life.

    The process of the last kind hangs; it is killed first, with those that it started.

    Raises:
        TrainingError: The dashboard is read-only, or the run is alive, finished or unreadable, or
            its process cannot be killed.
        StorageError: The folder cannot be written.
    """
    _check_allowed()
    now = summarise_run(run.folder)
    if not now.can_resume:
        raise TrainingError(
            f"Run {run.run_id} is {now.state}, so it cannot be resumed; duplicate it instead."
        )
    if now.state == "stalled":
        _kill(now)
    _launch(run.folder)


def stop_run(run: RunSummary) -> None:
    """Ask a run to stop; it keeps its state, so that it can be resumed.

    Raises:
        TrainingError: The dashboard is read-only, or the run's process is not this user's or
            is on another machine.
    """
    _check_allowed()
    now = summarise_run(run.folder)
    if not now.is_alive or now.status is None:
        return
    try:
        os.kill(now.status.pid, signal.SIGTERM)
    except OSError as error:
        raise TrainingError(
            f"Run {run.run_id} cannot be stopped from here ({error.strerror}); stop process "
            f"{now.status.pid} on the machine that trains it."
        ) from error


def delete_run(run: RunSummary) -> None:
    """Remove a run's folder for good.

    Raises:
        TrainingError: The dashboard is read-only, or the run is still at work.
        StorageError: The folder cannot be removed.
    """
    _check_allowed()
    if summarise_run(run.folder).is_alive:
        raise TrainingError(f"Run {run.run_id} is still at work; stop it first.")
    try:
        remove_whole(run.folder)
    except OSError as error:
        raise StorageError(
            f"Run {run.run_id} cannot be removed ({error.strerror}); check its permissions."
        ) from error


def measure_pace(config: RunConfig) -> None:
    """Measure the network's pace in a process of its own and keep it for estimates.

    Raises:
        TrainingError: The dashboard is read-only, or the process failed or took too long.
    """
    _check_allowed()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        try:
            done = subprocess.run(
                [sys.executable, "-m", "core", "pace", str(path)], cwd=PROJECT_ROOT, text=True,
                capture_output=True, timeout=PACE_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TrainingError(
                f"The pace could not be measured within {PACE_SECONDS:g} s; choose a smaller "
                "input size or batch."
            ) from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise TrainingError(f"The pace could not be measured: {said[-1].removeprefix('Error: ')}")


def _kill(run: RunSummary) -> None:
    """End a hung process and its children, and wait until they are gone."""
    if run.status is None:
        return
    try:
        process = psutil.Process(run.status.pid)
        doomed = [process, *process.children(recursive=True)]
        for one in doomed:
            one.kill()
    except psutil.NoSuchProcess:
        return
    except psutil.Error as error:
        raise TrainingError(
            f"Run {run.run_id} hangs and cannot be ended from here; kill process "
            f"{run.status.pid} on the machine that trains it, then resume."
        ) from error
    _, living = psutil.wait_procs(doomed, timeout=KILL_SECONDS)
    if living:
        raise TrainingError(
            f"Run {run.run_id} hangs in the system and does not end; resume it once process "
            f"{run.status.pid} is gone."
        )


def _check_allowed() -> None:
    if reason := refusal("to train from it"):
        raise TrainingError(reason)


def _free_folder(config: RunConfig) -> Path:
    root = Settings().runs_root
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{config.task}{config.type}-{config.backbone}"
    for number in range(1, 1000):
        folder = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(
                f"{root} cannot be written ({error.strerror}); set CSPINE_VAR to a folder you can "
                "write to."
            ) from error
        return folder
    raise TrainingError(f"{root} holds too many runs of this second; try again.")


def _launch(folder: Path) -> None:
    command = [
        sys.executable, "-m", "core", "train", str(folder / "config.yaml"),
        "--run-dir", str(folder), "--resume", "--queue",
    ]  # fmt: skip
    try:
        process = start_apart(command, folder / OUTPUT_FILE)
    except OSError as error:
        raise TrainingError(
            f"The training process cannot be started ({error.strerror}); see {folder}."
        ) from error
    RunFolder(folder).expect(process.pid)

"""A training run is a separate process that can be started, stopped, resumed and deleted."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from core.config import RunConfig
from core.errors import TrainingError
from core.system import atomic_files, movement
from core.training.run_list import summarise_run
from core.training.run_status import STALE_SECONDS
from core.training.runs import RunFolder
from dashboard.background import processes
from dashboard.training import run_processes


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("BROWSE_ROOTS", "/")
    monkeypatch.delenv("DASHBOARD_READONLY", raising=False)


@pytest.fixture
def started(monkeypatch):
    """Commands that jobs launched, each played by a process that only sleeps."""
    commands, sleepers = [], []
    popen = subprocess.Popen

    def play(command, **options):
        commands.append((command, options))
        sleepers.append(popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return sleepers[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", play)
    yield commands
    for process in sleepers:
        process.kill()
        process.wait()


def config(**changes):
    return RunConfig(task="fracture", backbone="googlenet", data_root="/data", **changes)


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_run_is_started_detached_and_listed_at_once(started):
    folder = run_processes.start_run(config(fold="all"))
    (command, options), (run,) = started[0], run_processes.all_runs()
    assert command[1:4] == ["-m", "core", "train"]
    assert {"--resume", "--queue", str(folder)} <= set(command)
    assert options["start_new_session"]
    assert (run.state, run.is_alive, run.config.fold) == ("queued", True, "all")


def test_two_runs_of_one_second_have_folders_of_their_own(started):
    assert run_processes.start_run(config()) != run_processes.start_run(config())
    assert len(run_processes.all_runs()) == 2


def test_a_run_at_work_can_be_neither_deleted_nor_resumed(started):
    run_processes.start_run(config())
    (run,) = run_processes.all_runs()
    with pytest.raises(TrainingError, match="stop it first"):
        run_processes.delete_run(run)
    with pytest.raises(TrainingError, match="cannot be resumed"):
        run_processes.resume_run(run)
    assert run.folder.is_dir()


def process_of(folder):
    return psutil.Process(RunFolder(folder).read_started().pid)


def test_a_run_is_recorded_before_it_has_a_process(monkeypatch):
    seen = []

    def start(command, **options):
        seen.extend((run.state, run.status.pid) for run in run_processes.all_runs())
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    with pytest.raises(TrainingError, match="Cannot allocate memory"):
        run_processes.start_run(config())
    assert seen == [("queued", 0)]
    (run,) = run_processes.all_runs()
    assert (run.state, run.can_resume) == ("failed", True)


def test_stopping_is_a_request_and_no_signal(started):
    folder = run_processes.start_run(config())
    (run,) = run_processes.all_runs()
    process = process_of(folder)
    run_processes.stop_run(run)
    assert RunFolder(folder).stop_file.read_text()
    time.sleep(0.2)
    assert process.status() != psutil.STATUS_ZOMBIE
    process.kill()
    wait_until(lambda: run_processes.all_runs()[0].state == "crashed")
    run_processes.resume_run(run)
    assert len(started) == 2
    assert run_processes.all_runs()[0].is_alive
    # The request was for the process before.
    assert not RunFolder(folder).stop_file.exists()


def from_before_the_lock(folder, **changes):
    """Write a run's status as a version without the lock wrote it."""
    run = RunFolder(folder)
    process = process_of(folder)
    status = json.loads(run.status_file.read_text()) | {
        "state": "running", "pid": process.pid, "process_started": process.create_time(),
        "host": platform.node(),
    }  # fmt: skip
    shutil.rmtree(run.lock.folder)
    run.started_file.unlink()
    atomic_files.write_json(run.status_file, status | changes)
    return process


def test_a_run_of_a_version_without_the_lock_is_stopped_by_its_process(started):
    process = from_before_the_lock(run_processes.start_run(config()))
    (run,) = run_processes.all_runs()
    run_processes.stop_run(run)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: run_processes.all_runs()[0].can_resume)


@pytest.mark.parametrize("host", ["another", ""])
def test_a_process_with_the_id_of_another_machines_run_is_never_ended(started, host):
    """Without a host in the file, a start as a date does not prove whose process it is."""
    folder = run_processes.start_run(config())
    process = from_before_the_lock(folder, host=host)
    (run,) = run_processes.all_runs()
    with pytest.raises(TrainingError, match=f"end process {process.pid} on"):
        run_processes.stop_run(run)
    time.sleep(0.2)
    assert process.status() != psutil.STATUS_ZOMBIE


def test_a_run_that_hangs_is_killed_before_it_goes_on(started, monkeypatch):
    folder = run_processes.start_run(config())
    process = process_of(folder)
    process.suspend()
    summarise_run(folder)
    real = time.monotonic
    monkeypatch.setattr(movement.time, "monotonic", lambda: real() + STALE_SECONDS + 1)
    run = summarise_run(folder)
    assert run.state == "stalled"
    run_processes.resume_run(run)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert len(started) == 2
    assert process_of(folder).pid != process.pid


def test_stopping_a_run_that_has_ended_does_nothing(started):
    folder = run_processes.start_run(config())
    RunFolder(folder).write_status("finished")
    run_processes.stop_run(summarise_run(folder))


def test_deleting_removes_the_folder(started):
    folder = run_processes.start_run(config())
    RunFolder(folder).write_status("finished")
    run_processes.delete_run(summarise_run(folder))
    assert run_processes.all_runs() == []
    assert not any(folder.parent.iterdir())


def test_a_read_only_dashboard_changes_nothing(started, monkeypatch):
    folder = run_processes.start_run(config())
    run = summarise_run(folder)
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    for change in (
        lambda: run_processes.start_run(config()),
        lambda: run_processes.stop_run(run),
        lambda: run_processes.resume_run(run),
        lambda: run_processes.delete_run(run),
    ):
        with pytest.raises(TrainingError, match="read-only"):
            change()
    assert len(started) == 1
    assert process_of(folder).is_running()

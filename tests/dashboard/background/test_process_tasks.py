"""Indexing and making studies are processes of their own that are joined, watched and cancelled."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from core.dataset.index import load_index
from core.errors import StorageError, TaskError
from core.system.process_identity import process_identity
from dashboard.background import process_tasks, processes
from dashboard.studies import data_sets
from dashboard.studies.data_sets import new_cohort_root, remove_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("DASHBOARD_READONLY", "RSNA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def played(monkeypatch):
    """Commands that tasks launched, each played by a process that only sleeps."""
    commands, sleepers = [], []
    popen = subprocess.Popen

    def play(command, **options):
        commands.append((command, options))
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        sleepers.append(popen(sleep, start_new_session=True))
        return sleepers[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", play)
    yield commands
    for process in sleepers:
        process.kill()
        process.wait()


def wait_until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def tell(task, **values):
    told = {"state": "running", "done": 0, "total": 0, "first_done": 0, "started": 100.0,
            "updated": 100.0, "message": ""}  # fmt: skip
    (task.folder / process_tasks.PROGRESS_FILE).write_text(json.dumps(told | values))
    return process_tasks.read_task(task.folder)


def test_a_task_is_started_detached_and_joined_when_asked_for_again(played, place):
    task = process_tasks.start_index(place / "root")
    command, options = played[0]
    assert command[1:5] == ["-m", "core", "index", str(place / "root")]
    assert options["start_new_session"]
    assert (task.state, task.total, task.seconds_left) == ("running", 0, None)
    assert process_tasks.start_index(place / "root").folder == task.folder
    assert process_tasks.start_index(place / "other").folder != task.folder
    assert len(played) == 2
    assert process_tasks.find_task("index", place / "root").folder == task.folder
    assert process_tasks.find_task("phantom", place / "root") is None


def test_the_options_of_a_cohort_reach_the_command(played, place):
    root = place / "c"
    process_tasks.start_phantom(root, studies=7, seed=3, matrix=128, rsna_like=True)
    command = played[0][0]
    assert command[3:5] == ["phantom", str(root)]
    asked = command[5:12]
    assert asked == ["--studies", "7", "--seed", "3", "--matrix", "128", "--rsna-like"]


def test_time_left_follows_the_pace_of_what_was_made_now(played, place, monkeypatch):
    task = process_tasks.start_index(place / "root")
    monkeypatch.setattr(process_tasks.time, "time", lambda: 110.0)
    now = tell(task, done=10, total=30, first_done=5, updated=110.0)
    assert now.seconds_left == pytest.approx(10 / 5 * 20)
    assert not now.is_stalled
    monkeypatch.setattr(process_tasks.time, "time", lambda: 1_110.0)
    assert now.seconds_left <= 40
    assert now.is_stalled
    assert tell(task, done=5, total=30, first_done=5, updated=110.0).seconds_left is None


def test_cancelling_ends_the_process_and_differs_from_finishing(played, place):
    task = process_tasks.start_index(place / "root")
    tell(task, done=1, total=3)
    process = psutil.Process(task.pid)
    process_tasks.cancel_task(task)
    assert process.status() != psutil.STATUS_ZOMBIE  # It is asked; no signal is sent.
    process.kill()
    process.wait(20)
    stopped = process_tasks.read_task(task.folder)
    assert (stopped.state, stopped.done) == ("stopped", 1)
    process_tasks.cancel_task(stopped)
    assert process_tasks.start_index(place / "root").folder != task.folder


def test_a_read_only_dashboard_starts_and_stops_nothing(played, place, monkeypatch):
    task = process_tasks.start_index(place / "root")
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    for change in (
        lambda: process_tasks.start_index(place / "other"),
        lambda: process_tasks.cancel_task(task),
        lambda: remove_cohort(data_sets.data_sets()[0]),
    ):
        with pytest.raises((TaskError, IndexError)):
            change()
    assert len(played) == 1
    assert psutil.pid_exists(task.pid)


def test_only_the_latest_tasks_are_kept(played, place, monkeypatch):
    monkeypatch.setattr(process_tasks, "KEPT", 2)
    folders = [place / "var" / "tasks" / f"{k}-index" for k in range(4)]
    for folder in folders:
        folder.mkdir(parents=True)
    process_tasks.start_index(place / "root")
    assert [folder.is_dir() for folder in folders] == [False, False, True, True]


def test_a_cohort_has_a_name_that_a_folder_can_have(place):
    for name in ("", "Über", "../x", "a b", "-x", "x" * 41):
        with pytest.raises(TaskError, match="is not a valid name for a cohort"):
            new_cohort_root(name)
    (data_sets.cohorts_root() / "taken").mkdir(parents=True)
    with pytest.raises(TaskError, match="already"):
        new_cohort_root("taken")


def test_a_var_that_cannot_be_written_is_reported(place, monkeypatch):
    (place / "file").write_text("")
    monkeypatch.setenv("CSPINE_VAR", str(place / "file"))
    with pytest.raises(StorageError, match="CSPINE_VAR"):
        process_tasks.start_index(place / "root")


def test_studies_are_made_indexed_listed_and_removed_in_real_processes(place, monkeypatch):
    # One core: then joblib starts no further processes.
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    root = new_cohort_root("mine")
    options = {"studies": 2, "seed": 5, "matrix": 64, "rsna_like": False}
    task = process_tasks.start_phantom(root, **options)
    wait_until(lambda: not process_tasks.read_task(task.folder).is_alive)
    done = process_tasks.read_task(task.folder)
    assert (done.state, done.done, done.total) == ("finished", 2, 2), done
    (choice,) = data_sets.data_sets()
    assert (choice.key, choice.complete, choice.synthetic) == ("cohort-mine", True, True)
    index = process_tasks.start_index(choice.root)
    wait_until(lambda: not process_tasks.read_task(index.folder).is_alive)
    assert process_tasks.read_task(index.folder).state == "finished"
    assert len(load_index(choice.root.absolute(), place / "cache").studies) == 2
    remove_cohort(choice)
    assert data_sets.data_sets() == []
    assert not any(data_sets.cohorts_root().iterdir())


def test_a_failure_shows_the_message_of_the_command(place):
    task = process_tasks.start_index(place / "nowhere")
    wait_until(lambda: not process_tasks.read_task(task.folder).is_alive)
    failed = process_tasks.read_task(task.folder)
    assert failed.state == "failed"
    assert "There is no folder" in failed.message


def test_cancelling_ends_the_workers_too_and_keeps_what_was_made(place):
    root = new_cohort_root("mine")
    task = process_tasks.start_phantom(root, studies=60, seed=5, matrix=64, rsna_like=False)
    wait_until(lambda: process_tasks.read_task(task.folder).done >= 1)
    children = psutil.Process(task.pid).children(recursive=True)
    process_tasks.cancel_task(task)
    wait_until(lambda: process_tasks.read_task(task.folder).state == "stopped")
    psutil.wait_procs(children, timeout=20)
    assert not any(child.is_running() for child in children)
    (choice,) = data_sets.data_sets()
    assert not choice.complete
    assert any((root / "phantom_truth").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is kept as a date")
def test_a_step_of_the_clock_does_not_end_a_task(played, place, monkeypatch):
    task = process_tasks.start_index(place / "root")
    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + 3600)
    assert process_tasks.read_task(task.folder).is_alive
    assert process_tasks.start_index(place / "root").folder == task.folder
    assert len(played) == 1


@pytest.mark.parametrize(("shift", "state"), [(0.0, "running"), (-60.0, "stopped")])
def test_a_task_that_an_older_version_started_still_reads(played, place, shift, state):
    task = process_tasks.start_index(place / "root")
    started = psutil.Process(task.pid).create_time() + shift
    as_before(task, task.pid, started)
    assert process_tasks.read_task(task.folder).state == state


def as_before(task, pid, started):
    """Write a task's folder as a version without locks wrote it."""
    path = task.folder / process_tasks.REQUEST_FILE
    asked = json.loads(path.read_text()) | {"pid": pid, "process_started": started}
    path.write_text(json.dumps(asked))
    (task.folder / process_tasks.PROCESS_FILE).unlink()


def test_a_task_of_an_older_version_is_ended_only_if_it_is_proved_to_be_the_one(played, place):
    task = process_tasks.start_index(place / "root")
    process = psutil.Process(task.pid)
    as_before(task, task.pid, process.create_time())
    with pytest.raises(TaskError, match="cannot be ended from this machine"):
        process_tasks.cancel_task(process_tasks.read_task(task.folder))
    assert process.status() != psutil.STATUS_ZOMBIE
    path = task.folder / process_tasks.REQUEST_FILE
    asked = json.loads(path.read_text()) | {"process_started": process_identity(task.pid)}
    path.write_text(json.dumps(asked))
    process_tasks.cancel_task(process_tasks.read_task(task.folder))
    process.wait(20)
    assert process_tasks.read_task(task.folder).state == "stopped"


def test_a_task_is_recorded_before_it_has_a_process(place, monkeypatch):
    seen = []

    def start(command, **options):
        seen.append(process_tasks.find_task("index", place / "root"))
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    with pytest.raises(TaskError, match="Cannot allocate memory"):
        process_tasks.start_index(place / "root")
    assert [(task.state, task.pid) for task in seen] == [("running", 0)]
    assert process_tasks.find_task("index", place / "root").state == "failed"


def test_many_who_ask_at_once_start_one_task(played, place):
    with ThreadPoolExecutor(8) as pool:
        tasks = list(pool.map(lambda _: process_tasks.start_index(place / "root"), range(8)))
    assert len({task.folder for task in tasks}) == len(played) == 1


def test_cancelling_a_task_that_has_just_ended_is_no_error(played, place):
    task = process_tasks.start_index(place / "root")
    as_before(task, task.pid, process_identity(task.pid))
    psutil.Process(task.pid).kill()
    psutil.Process(task.pid).wait(20)
    process_tasks.cancel_task(task)
    assert process_tasks.read_task(task.folder).state == "stopped"

"""A process is known for as long as it lives, whatever the clock does, and no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import psutil
import pytest

from core.config import RunConfig
from core.errors import TrainingError
from core.system import process_identity as module
from core.system.process_identity import is_same_process, process_identity
from core.training.device_queue import queue_of, turn, waiting
from core.training.runs import RunFolder

FIELDS = ["S", "1", "1", "1", "0", "-1", *(["0"] * 13), "{ticks}", *(["0"] * 30)]
"""Those of `/proc/<pid>/stat` behind the name; the start is field 22 of all."""


@pytest.fixture
def step_clock(monkeypatch):
    """Step the clock: the boot time that the kernel tells moves, and with it psutil's start."""
    real = psutil.Process.create_time

    def step(seconds):
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + seconds)

    return step


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A system without Linux's `/proc`."""
    monkeypatch.setattr(module, "_PROC", tmp_path / "no-proc")


@pytest.fixture
def proc(monkeypatch, tmp_path):
    """A Linux of the test's own; gives the function that writes process 7."""
    boot_id = tmp_path / "sys/kernel/random/boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text("boot-1\n")
    (tmp_path / "7").mkdir()
    monkeypatch.setattr(module, "_PROC", tmp_path)

    def write(*, ticks=6172, name="cat", state="S", boot="boot-1"):
        boot_id.write_text(f"{boot}\n")
        fields = " ".join([state, *FIELDS[1:]]).format(ticks=ticks)
        (tmp_path / "7/stat").write_text(f"7 ({name}) {fields}\n")
        return process_identity(7)

    return write


@pytest.mark.parametrize("seconds", [-7200.0, -2.0, 2.0, 7200.0])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is kept as a date")
def test_a_step_of_the_clock_makes_no_living_process_dead(step_clock, sleeper, seconds):
    identity = process_identity(sleeper.pid)
    step_clock(seconds)
    assert is_same_process(sleeper.pid, identity)
    assert process_identity(sleeper.pid) == identity


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is kept as a date")
def test_a_step_of_the_clock_lets_nobody_take_a_runs_folder_or_its_device(
    step_clock, sleeper, tmp_path
):
    config = RunConfig(task="vertebra", data_root=tmp_path)
    run = RunFolder(tmp_path / "run")
    run.start(config, resume=False)
    run.announce()
    run.note_started(sleeper.pid)
    with turn(tmp_path, "cpu", poll_s=0.02):
        step_clock(3600.0)
        assert run.is_alive(run.read_status())
        with pytest.raises(TrainingError, match="trained by a new process"):
            run.announce()
        status = run.read_status()
        status = replace(
            status, pid=sleeper.pid, process_started=process_identity(sleeper.pid), host="renamed"
        )
        run.status_file.write_text(json.dumps(asdict(status)))
        with pytest.raises(TrainingError, match=f"trained by process {sleeper.pid}"):
            RunFolder(run.folder).start(config, resume=True)
        assert waiting(tmp_path, "cpu") == 1


def test_the_name_of_a_process_may_hold_anything(proc):
    assert proc(name="a) Z 1 (b c") == proc(name="cat") == "boot-1/6172"


def test_a_later_process_under_the_same_pid_is_another(proc):
    identity = proc(ticks=6172)
    assert is_same_process(7, identity)
    proc(ticks=6173)
    assert not is_same_process(7, identity)


def test_after_a_reboot_the_same_ticks_are_another_process(proc):
    identity = proc(boot="boot-1")
    proc(boot="boot-2")
    assert not is_same_process(7, identity)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_has_ended_is_none_though_it_is_still_listed(proc, state):
    identity = proc()
    assert proc(state=state) is None
    assert not is_same_process(7, identity)


@pytest.mark.parametrize("system", ["here", "elsewhere"])
def test_the_living_are_known_and_zombies_and_the_gone_are_dead(system, request, sleeper):
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")
    identity = process_identity(sleeper.pid)
    assert is_same_process(sleeper.pid, identity)
    assert not is_same_process(os.getpid(), identity)
    sleeper.kill()
    deadline = time.monotonic() + 20
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    assert process_identity(sleeper.pid) is None
    assert not is_same_process(sleeper.pid, identity)
    sleeper.wait()
    assert process_identity(sleeper.pid) is None
    assert not is_same_process(sleeper.pid, identity)
    assert not is_same_process(sleeper.pid, None)


def test_elsewhere_a_process_that_began_at_another_time_is_another(elsewhere, step_clock):
    identity = process_identity(os.getpid())
    assert identity == repr(psutil.Process().create_time())
    step_clock(0.25)
    assert not is_same_process(os.getpid(), identity)


@pytest.mark.parametrize("system", ["here", "elsewhere"])
def test_the_start_that_older_files_hold_is_compared_as_a_date(system, request):
    if system == "elsewhere":
        request.getfixturevalue("elsewhere")
    began = psutil.Process().create_time()
    assert is_same_process(os.getpid(), began)
    assert not is_same_process(os.getpid(), began + 2.0)
    assert not is_same_process(os.getpid(), 0.0)
    assert not is_same_process(2**22 + 1, began)


def test_an_older_run_status_and_ticket_still_read(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.start(RunConfig(task="vertebra", data_root=tmp_path), resume=False)
    older = asdict(run.read_status()) | {"process_started": psutil.Process().create_time()}
    del older["began"]
    run.status_file.write_text(json.dumps(older))
    assert run.is_alive(run.read_status())
    run.status_file.write_text(json.dumps(older | {"process_started": 1.5}))
    assert not run.is_alive(run.read_status())
    queue_of(tmp_path, "cpu").mkdir(parents=True)
    for number, began in enumerate([1.5, psutil.Process().create_time()]):
        path = queue_of(tmp_path, "cpu") / f"{number:08d}-{os.getpid()}.json"
        ticket = {"number": number, "pid": os.getpid(), "process_started": began}
        path.write_text(json.dumps(ticket))
    assert waiting(tmp_path, "cpu") == 1

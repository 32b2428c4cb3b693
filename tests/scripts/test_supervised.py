from __future__ import annotations

import os
import signal
import sys
import time
from itertools import pairwise

import pytest

from scripts import supervised
from scripts.install import SetupError
from scripts.supervised import Supervised, stop_all, stop_signals

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(60)",
]


@pytest.fixture
def running():
    started: list[Supervised] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def test_a_process_that_ended_is_started_again(running, monkeypatch, capsys):
    monkeypatch.setattr(supervised, "SHORT_SECONDS", 0.0)
    one = Supervised("Worker 1", SLEEPER)
    running.append(one)
    before = one.process
    one.restart_if_ended()
    assert one.process is before
    before.kill()
    before.wait()
    one.restart_if_ended()
    assert one.process.pid != before.pid
    assert one.process.poll() is None
    assert "Worker 1 ended (status -9)" in capsys.readouterr().err


def test_a_process_that_fails_again_and_again_is_given_up(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(supervised.time, "monotonic", lambda: now[0])
    one = Supervised("Worker 2", [sys.executable, "-c", "raise SystemExit(3)"])
    starts = [now[0]]

    def watch():
        while True:
            before = one.process
            before.wait()
            one.restart_if_ended()
            if one.process is not before:
                starts.append(now[0])
            else:
                now[0] += 0.25

    with pytest.raises(SetupError, match="Worker 2 ended 5 times"):
        watch()
    assert [later - earlier for earlier, later in pairwise(starts)] == [1.0, 2.0, 4.0, 8.0]


def test_failures_are_forgotten_after_a_long_run(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(supervised.time, "monotonic", lambda: now[0])
    one = Supervised("Worker 1", [sys.executable, "-c", ""])
    for _ in range(20):
        one.process.wait()
        now[0] += supervised.SHORT_SECONDS
        one.restart_if_ended()
    one.process.wait()


def test_all_are_stopped_and_the_stubborn_are_killed(running, monkeypatch):
    monkeypatch.setattr(supervised, "STOP_SECONDS", 0.5)
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        running += [Supervised("Worker 1", STUBBORN, stdout=stream), Supervised("HAProxy", SLEEPER)]
    with os.fdopen(read) as lines:
        assert lines.readline() == "ready\n"
        stop_all(running)
    assert [one.process.returncode for one in running] == [-signal.SIGKILL, -signal.SIGTERM]


def test_a_process_hears_no_signal_of_this_terminal_and_has_its_variables(running):
    read, write = os.pipe()
    command = [sys.executable, "-c", "import os; print(os.environ['A_SECRET'], os.getsid(0))"]
    with os.fdopen(write, "w") as stream:
        running.append(Supervised("Worker 1", command, {"A_SECRET": "x"}, stream))
    with os.fdopen(read) as lines:
        assert lines.read() == f"x {running[0].process.pid}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_end_are_noted_and_given_back(number):
    before = signal.getsignal(number)
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.is_set()
    assert signal.getsignal(number) is before

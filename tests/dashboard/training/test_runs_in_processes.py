"""Real trainings in real processes: they outlive who started them, queue, stop and go on."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from core.training.runs import RunFolder
from dashboard.training import run_processes
from tests.core.training.made_data_root import write_data_root

START = """
import sys
from core.config import RunConfig
from dashboard.training.run_processes import start_run
for seed in (0, 1):
    start_run(RunConfig(task="fracture", data_root=sys.argv[1], size=32, epochs=int(sys.argv[2]),
                        batch_size=4, folds=2, device="cpu", seed=seed, checkpoint_every_s=0))
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("BROWSE_ROOTS", str(tmp_path))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("DASHBOARD_READONLY", raising=False)
    write_data_root(tmp_path / "root", studies=4, slices=7)
    yield tmp_path
    for run in run_processes.all_runs():
        if run.is_alive:
            os.kill(run.status.pid or RunFolder(run.folder).read_started().pid, 9)


def states():
    return sorted(run.state for run in run_processes.all_runs())


def wait_until(condition, seconds=200):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, [
            (run.state, run.status, (run.folder / "output.log").read_text()[-2000:])
            for run in run_processes.all_runs()
        ]
        time.sleep(0.1)


@pytest.mark.training
def test_runs_outlive_their_starter_queue_stop_and_go_on(place):
    # The starter is to the runs what a dashboard is: a process that may end at any time.
    starter = [sys.executable, "-c", START, str(place / "root"), "500"]
    subprocess.run(starter, check=True)
    wait_until(lambda: states() == ["queued", "running"])
    first = next(run for run in run_processes.all_runs() if run.state == "running")
    second = next(run for run in run_processes.all_runs() if run.state == "queued")
    wait_until(lambda: "waiting for 1 run" in run_processes.all_runs()[0].status.message
               or "waiting for 1 run" in run_processes.all_runs()[1].status.message)  # fmt: skip
    wait_until(lambda: (first.folder / "last.ckpt").exists())
    run_processes.stop_run(first)
    wait_until(lambda: states() == ["running", "stopped"])
    run_processes.stop_run(second)
    wait_until(lambda: states() == ["stopped", "stopped"])
    step = next(run for run in run_processes.all_runs() if run.run_id == first.run_id).status.step
    assert step > 0
    run_processes.resume_run(first)
    wait_until(lambda: states() == ["running", "stopped"])
    wait_until(lambda: max(run.status.step for run in run_processes.all_runs()) > step)
    run_processes.delete_run(second)
    assert [run.run_id for run in run_processes.all_runs()] == [first.run_id]

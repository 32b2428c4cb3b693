"""Two machines share runs, with clocks twenty minutes apart: no double trainer, no stray signal."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ACTIONS = 500
"""Of each machine."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the trainers are forks")
def test_two_machines_start_stop_and_resume_the_same_runs(tmp_path, repo_root):
    environment = os.environ | {"CSPINE_VAR": str(tmp_path / "var"), "BROWSE_ROOTS": "/"}
    environment.pop("DASHBOARD_READONLY", None)
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.dashboard.training.two_hosts", name, ahead, seed,
             str(ACTIONS)],
            cwd=repo_root, env=environment, text=True, stdout=subprocess.PIPE,
        )
        for name, ahead, seed in (("one", "-600", "1"), ("two", "600", "2"))
    ]  # fmt: skip
    outputs = [machine.communicate(timeout=300)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0]
    notes = [json.loads(output.splitlines()[-1]) for output in outputs]
    assert [(note["double"], note["foreign"]) for note in notes] == [(0, 0)] * 2
    assert min(note["started"] for note in notes) > 10
    assert min(note["stopped"] for note in notes) > 100

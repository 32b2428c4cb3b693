"""Two server processes start tasks at the same moment: one starts it, the other joins."""

from __future__ import annotations

import pytest

from tests.dashboard.background.two_at_once import run_together

START = """
import subprocess
from core.errors import TaskError
from dashboard.background import processes, process_tasks
played = []
popen = subprocess.Popen
def play(command, **options):
    played.append(popen([sys.executable, "-c", "import time; time.sleep(120)"]))
    return played[-1]
processes.subprocess.Popen = play
folder = pathlib.Path(sys.argv[2])
together(folder)
try:
    for number in range({rounds}):
        try:
            start = {start}
            print(start.folder.name, flush=True)
        except TaskError as error:
            print(error, flush=True)
    print(len(played), flush=True)
    (folder / f"done-{{sys.argv[1]}}").touch()
    while len(list(folder.glob("done-*"))) < 2:
        time.sleep(0.01)
finally:
    for one in played:
        one.kill()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MAX_TASKS", "100")
    monkeypatch.setenv("MAX_TASKS_PER_USER", "100")
    for name in ("DASHBOARD_READONLY", "RSNA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        "process_tasks.start_index(folder / str(number))",
        "process_tasks.start_phantom(folder / str(number), studies=2, seed=1, matrix=64, "
        "rsna_like=False)",
    ],
)
def test_a_task_that_two_processes_start_at_once_runs_once(place, repo_root, start):
    script = START.format(rounds=12, start=start)
    first, second = run_together(script, place / "meet", repo_root)
    # Both have the same tasks, and each was started by one of them.
    assert first[:-1] == second[:-1]
    assert len(set(first[:-1])) == 12
    assert int(first[-1]) + int(second[-1]) == 12


@pytest.mark.slow
def test_the_number_of_tasks_holds_for_both_processes_together(place, repo_root, monkeypatch):
    monkeypatch.setenv("MAX_TASKS", "3")
    start = "process_tasks.start_index(folder / f'{sys.argv[1]}-{number}')"
    found = run_together(START.format(rounds=4, start=start), place / "meet", repo_root)
    assert sum(int(lines[-1]) for lines in found) == 3
    refused = [line for lines in found for line in lines[:-1] if "MAX_TASKS" in line]
    assert len(refused) == 5
    assert refused[0] == (
        "This installation has 3 tasks on data sets running already (MAX_TASKS); wait until one "
        "has ended, or cancel one."
    )


@pytest.mark.slow
def test_one_user_has_fewer_tasks_than_all(place, repo_root, monkeypatch):
    monkeypatch.setenv("MAX_TASKS_PER_USER", "2")
    start = "process_tasks.start_index(folder / f'{sys.argv[1]}-{number}')"
    found = run_together(START.format(rounds=2, start=start), place / "meet", repo_root)
    assert sum(int(lines[-1]) for lines in found) == 2
    assert any("You have 2 tasks" in line for lines in found for line in lines)

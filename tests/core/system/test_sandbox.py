"""A process that may be killed: what it says comes back, what it does to itself stays there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import psutil
import pytest

from core.errors import ArchiveError, DicomSeriesError, WorkerError
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorker, ConfinedWorkers
from tests.core.system.sandbox_tasks import do

MEMORY = 512 << 20


@pytest.fixture(scope="module")
def worker():
    made = ConfinedWorker(do, Limits(MEMORY, 60))
    yield made
    made.close()


def alive(worker):
    return worker.call({"what": "echo", "say": "ø\n"})


def test_the_answer_comes_from_one_other_process_that_lives_on(worker):
    first, second = alive(worker), alive(worker)
    assert first == second == {"pid": worker.pid, "said": "ø\n"}
    assert worker.pid != os.getpid()


def test_progress_is_reported_in_order(worker):
    reported = []
    assert worker.call({"what": "count", "n": 3}, lambda *count: reported.append(count)) == 3
    assert list(dict.fromkeys(reported)) == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_a_codec_prints_is_no_answer(worker):
    assert worker.call({"what": "chatter"}) == "quiet"


def test_typed_errors_keep_their_words_and_the_process(worker):
    before = alive(worker)["pid"]
    with pytest.raises(DicomSeriesError, match=r"^1\.dcm: it is odd; make it even\.$") as caught:
        worker.call({"what": "refuse", "say": "series"})
    assert caught.value.remedy == "make it even"
    with pytest.raises(ArchiveError, match="pack it again"):
        worker.call({"what": "refuse", "say": "archive"})
    assert alive(worker)["pid"] == before


def test_an_untyped_error_names_nothing_of_the_file(worker):
    with pytest.raises(WorkerError) as caught:
        worker.call({"what": "break", "say": "Zyxnachname"})
    assert "Zyx" not in str(caught.value)


def test_a_death_is_a_typed_error_and_the_next_call_is_served(worker):
    before = alive(worker)["pid"]
    with pytest.raises(WorkerError, match="process that reads these files failed"):
        worker.call({"what": "die"})
    assert alive(worker)["pid"] != before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limit")
def test_memory_beyond_the_limit_is_refused_and_within_it_given(worker):
    assert worker.call({"what": "devour", "bytes": MEMORY // 4}) == MEMORY // 4
    with pytest.raises(WorkerError, match="more memory"):
        worker.call({"what": "devour", "bytes": 2 * MEMORY})
    assert alive(worker)


@pytest.mark.slow
def test_work_without_end_is_killed():
    hasty = ConfinedWorker(do, Limits(MEMORY, 1))
    try:
        with pytest.raises(WorkerError, match="more than 1 s"):
            hasty.call({"what": "hang"})
        assert hasty.pid is None
    finally:
        hasty.close()


def test_a_listener_that_raises_ends_call_and_process(worker):
    pid = alive(worker)["pid"]

    def cancel(done, total):
        raise ArchiveError("The work was cancelled.")

    with pytest.raises(ArchiveError, match="cancelled"):
        worker.call({"what": "hang"}, cancel)
    assert not psutil.pid_exists(pid)
    assert alive(worker)["pid"] != pid


def test_the_environment_holds_no_secret(monkeypatch):
    for name in ("STREAMLIT_AUTH_COOKIE_SECRET", "AWS_SECRET_ACCESS_KEY", "DASHBOARD_OPERATORS"):
        monkeypatch.setenv(name, "Zyx")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = ConfinedWorker(do, Limits(MEMORY, 60))
    try:
        found = made.call({"what": "environment"})
    finally:
        made.close()
    assert "Zyx" not in found.values()
    assert found["OMP_NUM_THREADS"] == "1"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limits")
def test_a_file_beyond_the_limit_and_work_on_many_cores_are_ended(tmp_path):
    made = ConfinedWorker(do, Limits(MEMORY, 60, cores=0, file_bytes=1 << 20))
    try:
        task = {"what": "write", "file": str(tmp_path / "f")}
        assert made.call(task | {"bytes": 1 << 20}) == 1 << 20
        with pytest.raises(WorkerError):
            made.call(task | {"bytes": 2 << 20})
        with pytest.raises(WorkerError, match="failed"):
            made.call({"what": "spin"})
        assert alive(made)
    finally:
        made.close()


@pytest.mark.slow
def test_a_call_without_end_holds_one_lane_and_no_other():
    lanes = ConfinedWorkers(do, Limits(MEMORY, 60), 2)
    begun = threading.Event()

    def cancel(done, total):
        begun.set()
        if over.is_set():
            raise ArchiveError("The work was cancelled.")

    over = threading.Event()

    def hang():
        with pytest.raises(ArchiveError):
            lanes.call({"what": "hang"}, cancel)

    stuck = threading.Thread(target=hang)
    stuck.start()
    try:
        assert begun.wait(30)
        assert alive(lanes)["said"] == "ø\n"
    finally:
        over.set()
        stuck.join(30)
        lanes.close()


def members_of_group(group):
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.Error):
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limits")
def test_a_child_that_multiplies_is_ended_with_all_that_it_started():
    """As the superuser it is counted and killed; others are refused by the operating system."""
    made = ConfinedWorker(do, Limits(MEMORY, 60, processes=20))
    try:
        pid = alive(made)["pid"]
        if os.geteuid() == 0:
            with pytest.raises(WorkerError, match="started more than 20 others"):
                made.call({"what": "multiply", "n": 60, "stay": True})
        else:
            assert made.call({"what": "multiply", "n": 60, "stay": False}) <= 20
            made.close()
        # A killed process takes a moment to end.
        deadline = time.monotonic() + 10
        while (left := members_of_group(pid)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []
        assert alive(made)["pid"] != pid
    finally:
        made.close()


AS_A_USER = """
import os, sys, time
from core.system.process_limits import Limits, limit_process
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
limit_process(Limits(1 << 29, 60, processes=20))
made = []
try:
    while len(made) < 60:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        made.append(child)
except BlockingIOError:
    pass
for child in made:
    os.kill(child, 9)
print(len(made))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces the limits")
def test_the_operating_system_refuses_an_ordinary_users_child_more_processes(repo_root):
    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER], capture_output=True, text=True, cwd=repo_root,
        check=True,
    )  # fmt: skip
    assert 10 <= int(done.stdout) <= 21


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the flag")
def test_what_the_child_starts_gains_no_rights(worker):
    assert "NoNewPrivs:\t1" in worker.call({"what": "status"})


@pytest.mark.slow
def test_what_a_child_left_goes_even_if_it_died_itself():
    made = ConfinedWorker(do, Limits(MEMORY, 60))
    try:
        made.call({"what": "multiply", "n": 3, "stay": False})
        pid = made.pid
        with pytest.raises(WorkerError):
            made.call({"what": "die"})
        assert members_of_group(pid) == []
    finally:
        made.close()


ORPHAN = """
import os
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorker
from tests.core.system.sandbox_tasks import do
worker = ConfinedWorker(do, Limits(1 << 29, 60))
print(worker.call({"what": "echo", "say": ""})["pid"], flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_the_process_ends_with_its_parent(repo_root):
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], capture_output=True, text=True, cwd=repo_root, check=False
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)

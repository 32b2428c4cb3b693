"""What happens around the program goes wrong: it says so in a sentence and keeps what it has."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import numpy as np
import pytest

from core.cache.entries import fetch_entry
from core.errors import CSpineError, StorageError
from core.system import atomic_files
from core.training import runs
from core.training.device_queue import Ticket, _draw_ticket, queue_of, waiting
from core.training.runs import RunFolder
from tests import forked
from tests.dashboard.fixtures import at_work, workplace
from tests.dashboard.workplace import write_cohort
from tests.faults import kill_writes
from tests.pages.driver import open_page
from tests.stores import made_store

pytestmark = pytest.mark.slow

__all__ = ["at_work", "workplace"]
KEY = "ab" * 32


def entry(value: int):
    return {"hu": np.full((4, 8, 8), value, np.int16)}, {"k": value}


def test_writes_that_are_killed_leave_the_old_or_the_new(tmp_path):
    log = tmp_path / "log"
    status = forked.finish(forked.start(kill_writes.main, ["--kills", "22"], log=log))
    assert status == 0, log.read_text()
    assert "22 kills, 0 broken" in log.read_text()


def test_a_ticket_whose_write_was_killed_stops_nobody(tmp_path):
    first = _draw_ticket(queue_of(tmp_path, "cpu"))
    cut_off = queue_of(tmp_path, "cpu") / f".{first.name}.x1.json"
    atomic_files.write_json(cut_off, asdict(Ticket(9, os.getpid(), None)))
    second = _draw_ticket(queue_of(tmp_path, "cpu"))
    assert [int(path.name.split("-")[0]) for path in (first, second)] == [1, 2]
    assert waiting(tmp_path, "cpu") == 2


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """RLIMIT_FSIZE makes the kernel refuse the write itself, as a full disk does."""
    target = tmp_path / "a.json"
    atomic_files.write_json(target, {"k": 1})
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from core.system import atomic_files\nfrom core.errors import StorageError\n"
        "try:\n    atomic_files.write_json(Path(sys.argv[1]), {'k': [2] * 5000})\n"
        "except StorageError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True
    )
    assert "File too large; free some space" in done.stdout
    assert target.read_text() == '{\n  "k": 1\n}\n'
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_fills_up_keeps_the_store_whole(tmp_path, monkeypatch):
    fetch_entry(made_store(tmp_path), "volumes", KEY, lambda: entry(1))
    save = np.save

    def half(stream, array, **more):
        stream.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", half)
    other = "cd" * 32
    with pytest.raises(StorageError, match="No space left"):
        fetch_entry(made_store(tmp_path), "volumes", other, lambda: entry(2))
    monkeypatch.setattr(np, "save", save)
    assert (
        fetch_entry(made_store(tmp_path), "volumes", KEY, lambda: pytest.fail("built")).values["k"]
        == 1
    )
    assert fetch_entry(made_store(tmp_path), "volumes", other, lambda: entry(2)).built
    assert not list((tmp_path / "volumes").rglob(".building-*"))


def test_a_data_root_that_cannot_be_written_is_only_read(at_work, monkeypatch, tmp_path):
    root = tmp_path / "set"
    write_cohort(root)
    monkeypatch.setenv("RSNA_ROOT", str(root))
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for page in ("diagnosis", "dataset", "preprocessing"):
            app = open_page(page)
            assert not app.exception, page
            assert not [error.value for error in app.error], page
        # Permissions do not bind root; what was touched shows all the same.
        assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    finally:
        for path in before:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_data_root_unplugged_while_a_page_is_open_is_said_and_comes_back(
    at_work, monkeypatch, tmp_path
):
    root, away = tmp_path / "set", tmp_path / "away"
    write_cohort(root)
    monkeypatch.setenv("RSNA_ROOT", str(root))
    for page in ("diagnosis", "dataset"):
        app = open_page(page)
        assert not app.exception, page
        root.rename(away)
        app.run()
        assert not app.exception, page
        said = " ".join(box.value for box in [*app.error, *app.warning, *app.info])
        assert "Traceback" not in said
        # The other pages show what index and caches know of the set.
        assert page != "diagnosis" or said
        away.rename(root)
        app.run()
        assert not app.exception, page
        assert not app.error, page


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_jumps_does_not_silence_a_run(tmp_path, monkeypatch, jump):
    run = RunFolder(tmp_path)
    run.write_status("running")
    real = time.time
    monkeypatch.setattr(runs.time, "time", lambda: real() + jump)
    monotonic = time.monotonic
    monkeypatch.setattr(runs.time, "monotonic", lambda: monotonic() + runs.HEARTBEAT_SECONDS + 1)
    run.beat(step=7, epoch=0)
    status = run.read_status()
    assert status.step == 7
    assert abs(status.heartbeat - (real() + jump)) < 60


def test_the_heart_of_a_run_beats_no_faster_than_it_should(tmp_path):
    run = RunFolder(tmp_path)
    run.write_status("running")
    run.beat(step=7, epoch=0)
    assert run.read_status().step == 0


def test_two_dashboards_on_one_cache_build_an_entry_once_and_both_read_it(tmp_path, repo_root):
    script = (
        "import sys, time\nfrom pathlib import Path\nimport numpy as np\n"
        "from core.cache.entries import fetch_entry\nfrom tests.stores import made_store\n"
        "def build():\n    time.sleep(0.3)\n"
        "    return {'hu': np.ones((4, 8, 8), np.int16)}, {'k': 1}\n"
        "for n in range(4):\n"
        "    found = fetch_entry(made_store(Path(sys.argv[1])), 'volumes', f'{n:064x}', build)\n"
        "    print(int(found.built), int(found.arrays['hu'].sum()))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    both = [
        subprocess.Popen(command, cwd=repo_root, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    lines = [process.communicate(timeout=120)[0].split("\n")[:4] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for one, other in zip(*lines, strict=True):
        assert sorted([one, other]) == ["0 256", "1 256"]


def test_an_entry_removed_by_another_dashboard_stays_readable_and_is_built_again(tmp_path):
    held = fetch_entry(made_store(tmp_path), "volumes", KEY, lambda: entry(3))
    shutil.rmtree(tmp_path / "volumes")
    assert (held.arrays["hu"] == 3).all()
    results = []
    threads = [
        threading.Thread(
            target=lambda: results.append(
                fetch_entry(made_store(tmp_path), "volumes", KEY, lambda: entry(3)).built
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]


def test_a_cache_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CSpineError, match="set RSNA_CACHE"):
        fetch_entry(made_store(tmp_path / "file" / "cache"), "volumes", KEY, lambda: entry(1))

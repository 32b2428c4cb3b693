"""A lock is held by one process at a time, on whichever machine, whatever the clocks say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import pytest

from core.errors import HeldError, StorageError
from core.system import movement, work_lock
from core.system.process_identity import ProcessRecord
from core.system.work_lock import LEASE_SECONDS, Hold, WorkLock

HOLD = """
import sys
from pathlib import Path
from core.system.work_lock import WorkLock
with WorkLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path):
    return WorkLock(tmp_path / ".lock")


@pytest.fixture
def other(repo_root, lock):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(lock.folder)]
    with subprocess.Popen(
        command, cwd=repo_root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def later(monkeypatch):
    """Let time pass by this process's own clock."""
    real, ahead = movement.time.monotonic, [0.0]
    monkeypatch.setattr(movement.time, "monotonic", lambda: real() + ahead[0])
    return lambda seconds: ahead.__setitem__(0, ahead[0] + seconds)


def elsewhere(lock, number=1, count=0):
    """The lock's file as a holder on another machine writes it."""
    lock.folder.mkdir(exist_ok=True)
    record = ProcessRecord("far", os.getpid(), f"other-boot/{os.getpid()}")
    line = work_lock.json.dumps(asdict(record)).encode()
    lock._file(number).write_bytes(line + b"\n" + work_lock._count(count))


def test_a_lock_is_held_over_the_block_and_free_afterwards(lock):
    assert lock.holder() is None
    assert not lock.was_used
    with lock.held() as hold:
        assert lock.holder() == ProcessRecord.of(os.getpid())
        with pytest.raises(HeldError, match=f"in use by process {os.getpid()}"), lock.held():
            pass
        hold.check()
    assert lock.holder() is None
    assert lock.was_used
    with lock.held() as hold:
        assert hold.number == 2


def test_a_living_process_keeps_the_lock_and_a_killed_one_frees_it_at_once(lock, other):
    assert lock.holder().pid == other.pid
    other.send_signal(signal.SIGSTOP)
    with pytest.raises(HeldError), lock.held(wait_s=0.3):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with lock.held():
        pass


def test_who_waits_gets_the_lock_when_it_is_released(lock, other):
    threading.Timer(0.3, other.stdin.close).start()
    with lock.held(wait_s=20):
        assert lock.holder().pid == os.getpid()


@pytest.mark.parametrize("clock", [-600.0, 600.0])
def test_a_holder_on_another_machine_is_judged_by_its_count_alone(lock, later, monkeypatch, clock):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + clock)
    for count in range(4):
        elsewhere(lock, count=count)
        os.utime(lock._file(1), (real() - clock, real() - clock))
        assert lock.holder().host == "far"
        later(LEASE_SECONDS - 1)
        assert lock.holder().host == "far"
    later(2)
    assert lock.holder() is None


def test_a_dead_holder_on_another_machine_is_watched_before_its_lock_is_taken(lock, monkeypatch):
    monkeypatch.setattr(work_lock, "LEASE_SECONDS", 0.5)
    elsewhere(lock)
    with pytest.raises(HeldError), lock.held():
        pass
    began = time.monotonic()
    with lock.held(judge=True) as hold:
        assert time.monotonic() - began > 0.3
        assert hold.number == 2


def test_a_living_holder_on_another_machine_is_not_replaced(lock, monkeypatch):
    monkeypatch.setattr(work_lock, "LEASE_SECONDS", 5.0)
    elsewhere(lock)
    timer = threading.Timer(0.3, elsewhere, (lock, 1, 1))
    timer.start()
    with pytest.raises(HeldError, match="on far"), lock.held(judge=True):
        pass


def test_a_released_lock_of_another_machine_is_free_at_once(lock):
    elsewhere(lock)
    with lock._file(1).open("r+b") as stream:
        stream.seek(-work_lock._COUNT_WIDTH, os.SEEK_END)
        stream.write(work_lock._RELEASED)
    assert lock.holder() is None


def test_a_file_that_is_just_being_written_counts_as_held(lock, later):
    lock.folder.mkdir()
    lock._file(1).touch()
    assert lock.holder() is not None
    later(LEASE_SECONDS + 1)
    assert lock.holder() is None


def test_a_holder_that_was_frozen_finds_that_the_lock_was_taken(lock, monkeypatch):
    monkeypatch.setattr(work_lock, "REFRESH_SECONDS", 3600.0)
    with lock.held() as hold:
        elsewhere(lock, number=2)
        with pytest.raises(HeldError, match="on far"):
            hold.check()
        assert hold.is_lost
    assert lock.holder().host == "far"


def test_a_holder_whose_number_is_gone_has_lost_it_too(lock):
    with lock.held() as hold:
        lock._file(1).unlink()
        elsewhere(lock, number=3)
        with pytest.raises(HeldError):
            hold.check()


def test_the_count_moves_while_the_lock_is_held(lock, monkeypatch):
    monkeypatch.setattr(work_lock, "REFRESH_SECONDS", 0.01)
    seen = set()
    with lock.held(on_refresh=lambda: seen.add(lock._file(1).read_bytes())):
        deadline = time.monotonic() + 20
        while len(seen) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_with_an_old_list_of_the_folder_no_number_is_given_twice(lock, monkeypatch):
    """As another machine may see the folder: its list is that of two holders ago."""
    for _ in range(3):
        with lock.held():
            pass
    old = [1, 2]
    real = WorkLock._numbers
    monkeypatch.setattr(WorkLock, "_numbers", lambda self: old)
    assert not lock._create(3)
    lock._file(3).unlink()
    with lock._file(4).open("xb"):
        monkeypatch.setattr(WorkLock, "_numbers", real)
        assert not lock._create(3)
        assert not lock._file(3).exists()


def test_a_number_is_given_to_one_of_many(lock):
    given, barrier = [], threading.Barrier(8)
    lock.folder.mkdir()

    def take():
        barrier.wait()
        if lock._create(1):
            given.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [1]


def test_a_folder_that_is_removed_while_held_needs_no_release(lock):
    with lock.held():
        lock.folder.rename(lock.folder.with_name("gone"))
    assert not lock.was_used


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    lock = WorkLock(tmp_path / "file" / ".lock")
    with pytest.raises(StorageError, match="check its permissions"), lock.held():
        pass


def test_a_forked_process_releases_nothing(lock, monkeypatch):
    with lock.held() as hold:
        pid = os.getpid()
        monkeypatch.setattr(work_lock.os, "getpid", lambda: pid + 1)
        Hold.release(hold)
        monkeypatch.undo()
        assert lock.holder() is not None

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.system import shared_slots
from core.system.shared_slots import shared_slot


@pytest.fixture(autouse=True)
def _poll_often(monkeypatch):
    monkeypatch.setattr(shared_slots, "_POLL_S", 0.005)


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_than_so_many_are_held_at_once(tmp_path, count):
    held, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal held, most
        with shared_slot(tmp_path, "work", count):
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.02)
            with lock:
                held -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    assert most == count


def test_another_process_holds_it_until_it_dies(tmp_path):
    command = [sys.executable, "-m", "tests.core.system.slot_holder", str(tmp_path)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    waits = []

    def on_wait():
        waits.append(other.poll())
        if len(waits) == 3:
            other.kill()
            other.wait()

    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with shared_slot(tmp_path, "work", 1, on_wait=on_wait):
            assert waits[:3] == [None] * 3
    finally:
        other.kill()
        other.wait()


def test_a_wait_can_be_cancelled(tmp_path):
    class CancelledError(Exception):
        pass

    def cancel():
        raise CancelledError

    with (
        shared_slot(tmp_path, "work", 1),
        pytest.raises(CancelledError),
        shared_slot(tmp_path, "work", 1, on_wait=cancel),
    ):
        pytest.fail("It did not wait.")
    with shared_slot(tmp_path, "work", 1, on_wait=cancel):
        pass


def test_kinds_do_not_wait_for_each_other(tmp_path):
    with (
        shared_slot(tmp_path, "one", 1),
        shared_slot(tmp_path, "two", 1, on_wait=lambda: pytest.fail("It waited.")),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_stops_no_work(tmp_path):
    tmp_path.chmod(0o500)
    with shared_slot(tmp_path / "slots", "work", 1):
        pass


def test_a_file_in_the_place_of_the_folder_stops_no_work(tmp_path):
    (tmp_path / "slots").write_text("")
    with shared_slot(tmp_path / "slots", "work", 1):
        pass

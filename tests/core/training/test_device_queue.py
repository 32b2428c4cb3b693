"""Runs take turns on a device, and a dead one blocks no other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from core.training import device_queue
from core.training.device_queue import queue_of, turn, waiting

HOLDER = """
import sys, time
from pathlib import Path
from core.training.device_queue import turn
with turn(Path(sys.argv[1]), "cpu", poll_s=0.02):
    print("mine", flush=True)
    sys.stdin.read()
    Path(sys.argv[1], "order.txt").open("a").write(sys.argv[2])
"""


def start_holder(folder, name):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_the_first_to_ask_goes_first_and_others_wait(tmp_path):
    first = start_holder(tmp_path, "1")
    assert first.stdout.readline() == "mine\n"
    second = start_holder(tmp_path, "2")
    wait_for(lambda: waiting(tmp_path, "cpu") == 2)
    ahead = []

    def third():
        with turn(tmp_path, "cpu", on_wait=ahead.append, poll_s=0.02):
            (tmp_path / "order.txt").open("a").write("3")

    thread = threading.Thread(target=third)
    thread.start()
    wait_for(lambda: ahead)
    assert ahead[0] == 2
    first.communicate("")
    assert second.stdout.readline() == "mine\n"
    second.communicate("")
    thread.join(20)
    assert (tmp_path / "order.txt").read_text() == "123"
    assert waiting(tmp_path, "cpu") == 0


def test_a_killed_holder_frees_the_device(tmp_path):
    holder = start_holder(tmp_path, "1")
    assert holder.stdout.readline() == "mine\n"
    holder.kill()
    holder.wait()
    with turn(tmp_path, "cpu", poll_s=0.02):
        assert waiting(tmp_path, "cpu") == 1


def test_devices_have_queues_of_their_own(tmp_path):
    with turn(tmp_path, "cpu"), turn(tmp_path, "cuda"):
        assert waiting(tmp_path, "cpu") == waiting(tmp_path, "cuda") == 1


def test_machines_that_share_a_disk_neither_wait_for_nor_clear_each_other(tmp_path, monkeypatch):
    with turn(tmp_path, "cpu"):
        mine = list(queue_of(tmp_path, "cpu").glob("0*.json"))
        monkeypatch.setattr(device_queue.platform, "node", lambda: "another")
        # As that machine sees it, no process has this pid.
        monkeypatch.setattr(device_queue, "is_same_process", lambda pid, started: False)
        assert waiting(tmp_path, "cpu") == 0
        waits = []
        with turn(tmp_path, "cpu", on_wait=waits.append, poll_s=0.02):
            assert waits == []
        assert len(mine) == 1
        assert mine[0].exists()
        monkeypatch.undo()
        assert waiting(tmp_path, "cpu") == 1


def test_a_later_process_with_the_same_pid_is_not_taken_for_the_holder(tmp_path):
    ticket = queue_of(tmp_path, "cpu") / f"{1:08d}-1.json"
    ticket.parent.mkdir(parents=True)
    ticket.write_text(json.dumps({"number": 1, "pid": 1, "process_started": 12.0}))
    with turn(tmp_path, "cpu", poll_s=0.02):
        assert not ticket.exists()


def test_an_unreadable_ticket_blocks_no_run(tmp_path):
    queue_of(tmp_path, "cpu").mkdir(parents=True)
    (queue_of(tmp_path, "cpu") / "0-torn.json").write_text('{"number":')
    with turn(tmp_path, "cpu", poll_s=0.02):
        pass


def test_a_turn_is_held_by_one_process_however_many_ask_at_once(tmp_path):
    holding, most = [], []

    def hold():
        with turn(tmp_path, "cpu", poll_s=0.005):
            holding.append(1)
            most.append(len(holding))
            time.sleep(0.01)
            holding.pop()

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 8

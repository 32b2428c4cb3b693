"""One of two machines that share a disk: a dashboard with trainers; run in a process by the tests.

Its name, its boot and its clock are its own. Trainers are forks that train nothing. Independent of
the code that is tested, each writes its name once it has begun, and must not take a step any more
when it reads another's; every signal is noted with its target.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import sys
import time
from pathlib import Path

import psutil

from core.config import RunConfig
from core.errors import CSpineError
from core.system import process_identity, work_lock
from core.training import run_status, runs
from core.training.run_files import RunFiles
from core.training.runs import RunFolder
from dashboard.background.processes import ProcessSupervisor
from dashboard.training import run_processes

RUNS = 3
PAUSE_S = 0.004


class Machine:
    """A machine.

    Args:
        name: Its name.
        ahead_s: By how much its clock is ahead.
    """

    def __init__(self, name: str, ahead_s: float) -> None:
        self.name = name
        self.trainers: set[int] = set()
        self.notes = {"started": 0, "stopped": 0, "killed": 0, "double": 0, "foreign": 0}
        real = time.time
        time.time = lambda: real() + ahead_s
        platform.node = lambda: name
        process_identity._boot_id = lambda: f"boot-of-{name}"
        work_lock.REFRESH_SECONDS, work_lock.LEASE_SECONDS = 0.05, 5.0
        run_status.STALE_SECONDS, runs.HEARTBEAT_SECONDS = 5.0, 0.02
        ProcessSupervisor.start = lambda supervisor, folder, *arguments: self.fork(folder)
        for method in ("kill", "terminate", "send_signal"):
            setattr(psutil.Process, method, self.noted(getattr(psutil.Process, method)))

    def noted(self, send):
        def sent(process, *arguments):
            self.notes["foreign"] += process.pid not in self.trainers
            return send(process, *arguments)

        return sent

    def fork(self, folder: Path) -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            with contextlib.suppress(BaseException):
                status = train(folder)
            os._exit(status)
        self.trainers.add(pid)
        return pid

    def reap(self) -> None:
        for pid in list(self.trainers):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
            self.trainers.discard(pid)

    def act(self, chance: random.Random) -> None:
        """One start, stop or resume, or sometimes the sudden death of an own trainer."""
        self.reap()
        known = run_processes.all_runs()
        if len(known) < RUNS and chance.random() < 0.2:
            config = RunConfig(task="fracture", backbone="googlenet", data_root="/d")
            run_processes.start_run(config)
            self.notes["started"] += 1
        elif known and chance.random() < 0.5:
            run_processes.stop_run(chance.choice(known))
            self.notes["stopped"] += 1
        elif known and chance.random() < 0.97:
            run_processes.resume_run(chance.choice(known))
            self.notes["started"] += 1
        elif self.trainers:
            os.kill(chance.choice(sorted(self.trainers)), 9)
            self.notes["killed"] += 1


def train(folder: Path) -> int:
    """Train nothing until asked to stop; leave a note for a step taken after another has begun.

    A trainer that the machine has frozen for longer than the lease is replaced, and that is right:
    it must only not take another step. So what counts is a step, not that both processes exist.
    """
    run = RunFolder(folder)
    config = RunConfig(task="fracture", backbone="googlenet", data_root="/d")
    run.start(config, resume=True)
    own, latest = f"{platform.node()} {os.getpid()}", folder / "latest"
    with run.recorded():
        latest.write_text(own)
        step = 0
        while True:
            step += 1
            is_replaced = latest.read_text() not in (own, "")
            run.beat(step=step, epoch=0)
            run.append_metrics("step", step=step)
            if is_replaced:
                (folder / f"double-{os.getpid()}").write_text("")
            time.sleep(0.01)


def main() -> None:
    """Act a number of times, then stop everything and print the notes."""
    name, ahead_s, seed, actions = sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:5])
    machine, chance = Machine(name, ahead_s), random.Random(seed)
    for _ in range(actions):
        with contextlib.suppress(CSpineError):
            machine.act(chance)
        time.sleep(PAUSE_S)
    for run in run_processes.all_runs():
        RunFiles(run.folder).ask_to_stop()
        machine.notes["double"] += len(list(run.folder.glob("double-*")))
    for pid in machine.trainers:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    sys.stdout.write(json.dumps(machine.notes) + "\n")


if __name__ == "__main__":
    main()

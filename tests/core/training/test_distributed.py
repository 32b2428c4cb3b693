"""Two processes train to the same result as one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import numpy as np
import pytest

from core.models.bundles import read_bundle
from core.training.runs import RunFolder
from tests import forked
from tests.core.training import train_together
from tests.core.training.made_data_root import write_data_root

pytestmark = pytest.mark.training


def lines(run, event):
    found = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    return [line for line in found if line["event"] == event]


def by_torchrun(place, name):
    """Train in two processes that torchrun starts."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", train_together.__name__, *(str(place / part) for part in (name, "root", "cache")),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return RunFolder(place / name)


def forked_run(place, name, environments, *, resume=False):
    """Train in one process for each of the environments."""
    folders = [place / part for part in (name, "root", "cache")]
    logs = [place / f"{name}-{number}.log" for number in range(len(environments))]
    started = [
        forked.start(train_together.main, *folders, resume, log=log, environment=environment)
        for log, environment in zip(logs, environments, strict=True)
    ]
    for process, log in zip(started, logs, strict=True):
        assert forked.finish(process) == 0, log.read_text()
    return RunFolder(place / name)


def as_torchrun_sets(ranks):
    """The variables of each process; forked processes need no second `torchrun`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "x"}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [world | meeting | {"RANK": str(k), "LOCAL_RANK": str(k)} for k in range(ranks)]


def test_two_processes_follow_the_loss_curve_of_one(tmp_path):
    write_data_root(tmp_path / "root", studies=6, slices=14)
    one = forked_run(tmp_path, "one", [{}])
    two = by_torchrun(tmp_path, "two")
    for event, keys in (("step", ("step", "loss", "learning_rate")), ("validation", ("loss",))):
        for key in keys:
            np.testing.assert_allclose(
                [line[key] for line in lines(two, event)],
                [line[key] for line in lines(one, event)],
                rtol=2e-4, err_msg=f"{event} {key}",
            )  # fmt: skip
    assert [line["slices"] for line in lines(two, "validation")] == [28, 28]
    assert two.read_status().state == "finished"
    assert read_bundle(two.bundle).config.trained_on["steps"] == 14
    again = forked_run(tmp_path, "two", as_torchrun_sets(2), resume=True)
    assert len(lines(again, "validation")) == 2

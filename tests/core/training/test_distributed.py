"""Two processes learn what one learns."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from core.models.bundles import read_bundle
from core.training.runs import RunFolder
from tests.core.training.made_data_root import write_data_root

SCRIPT = "tests.core.training.train_together"


def lines(run, event):
    found = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    return [line for line in found if line["event"] == event]


def together(place, name, processes, *more):
    launcher = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(processes), "-m", SCRIPT,
    ]  # fmt: skip
    command = [sys.executable, "-m", SCRIPT] if processes == 1 else launcher
    folders = [str(place / part) for part in (name, "root", "cache")]
    done = subprocess.run([*command, *folders, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return RunFolder(place / name)


def test_two_processes_follow_the_loss_curve_of_one(tmp_path):
    write_data_root(tmp_path / "root", studies=6, slices=14)
    one = together(tmp_path, "one", 1)
    two = together(tmp_path, "two", 2)
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
    again = together(tmp_path, "two", 2, "--resume")
    assert len(lines(again, "validation")) == 2

"""Killed at any moment, a run goes on to the very weights it would have had."""

from __future__ import annotations

import json
import random

import pytest

from core.models.bundles import read_bundle
from core.training.runs import RunFolder
from tests import forked
from tests.core.training import train_and_die
from tests.core.training.made_data_root import write_data_root

pytestmark = pytest.mark.training

STEPS = 21


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_data_root(folder / "root", studies=6, slices=14)
    return folder


def trained(place, name, die_at=0, how="step"):
    """Give the exit status of a training process."""
    log = place / "log"
    process = forked.start(
        train_and_die.main, place / name, place / "root", place / "cache", die_at, how, log=log
    )
    status = forked.finish(process)
    assert status in (0, -9), log.read_text()
    return status


def lines(run):
    found = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    varying = ("time", "images_per_second", "loader_wait_share")
    kept = [{k: v for k, v in line.items() if k not in varying} for line in found]
    return [line for line in kept if line["event"] != "epoch"]


def test_sigkill_at_random_steps_and_within_a_write_changes_nothing(place):
    assert trained(place, "whole") == 0
    chance = random.Random(2022)
    deaths = sorted(chance.sample(range(1, STEPS), 3))
    for number, step in enumerate(deaths):
        how = "write" if number == 1 else "step"
        assert trained(place, "killed", step, how) == -9, step
    assert trained(place, "killed") == 0
    whole, killed = (RunFolder(place / name) for name in ("whole", "killed"))
    assert lines(killed) == lines(whole)
    digests = {read_bundle(run.bundle).config.weights_sha256 for run in (whole, killed)}
    assert len(digests) == 1
    assert killed.read_status().state == "finished"

"""Two processes train every task, to the same result as one where that can be."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.models.bundles import read_bundle
from core.training import distributed
from core.training.distributed import (
    Processes,
    chosen_precision,
    chosen_workers,
    with_synced_norms,
)
from core.training.runs import RunFolder
from core.training.start_up import described, records_of
from core.training.state import _set_cuda_rng
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


def forked_run(place, name, environments, function=train_together.main, options=(False,)):
    """Train in one process for each of the environments."""
    folders = [place / part for part in (name, "root", "cache")]
    logs = [place / f"{name}-{number}.log" for number in range(len(environments))]
    started = [
        forked.start(function, *folders, *options, log=log, environment=environment)
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
    again = forked_run(tmp_path, "two", as_torchrun_sets(2), options=(True,))
    assert len(lines(again, "validation")) == 2


@pytest.mark.parametrize("kind", ["slices", "boxes"])
def test_two_stopped_processes_go_on_with_the_random_numbers_of_each(kind, tmp_path, request):
    if kind == "slices":
        options = train_together.SLICES
        write_data_root(tmp_path / "root", studies=6, slices=14)
    else:
        root = request.getfixturevalue("phantom_root")
        options = train_together.BOXES | {"seed": seed_with_boxes_in_both(root)}
        (tmp_path / "root").symlink_to(root)
    runs = {}
    for name, step, resume in (("whole", 0, False), ("parts", 3, False), ("parts", 0, True)):
        runs[name] = forked_run(
            tmp_path, name, as_torchrun_sets(2), train_together.stopped, (options, step, resume)
        )
    bundles = [read_bundle(run.bundle).config for run in runs.values()]
    assert bundles[0].weights_sha256 == bundles[1].weights_sha256
    whole, parts = (lines(run, "validation") for run in runs.values())
    assert len(whole) == options["epochs"]
    assert [line["step"] for line in whole] == [line["step"] for line in parts]
    # The second process read what the first had found, and nothing is left of that.
    assert not list(runs["parts"].folder.glob(".walk-*"))


def seed_with_boxes_in_both(root):
    """A seed whose two folds both hold a boxed study."""
    records = read_studies(root)
    for seed in range(50):
        folds = assign_folds(records, 2, seed)
        if {folds[r.study_id] for r in records if r.boxes} == {0, 1}:
            return seed
    raise AssertionError("the small cohort has one boxed study only")


def config_of(**options):
    return RunConfig(task="fracture", data_root="/nowhere", **options)


@pytest.mark.parametrize(
    ("device", "precision", "has_gpu", "has_bfloat16", "expected"),
    [
        ("cpu", "auto", True, True, "32-true"),
        ("auto", "auto", False, False, "32-true"),
        ("auto", "auto", True, True, "bf16-mixed"),
        ("cuda", "auto", True, False, "16-mixed"),
        ("cuda", "32-true", True, True, "32-true"),
    ],
)
def test_the_precision_is_the_fastest_that_the_device_is_built_for(
    device, precision, has_gpu, has_bfloat16, expected, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_bfloat16
    )
    assert chosen_precision(config_of(device=device, precision=precision)) == expected


@pytest.mark.parametrize(
    ("device", "cores", "per_node", "asked", "expected"),
    [
        ("cpu", 1, 1, None, 0), ("cpu", 64, 1, None, 1), ("cpu", 2, 4, None, 0),
        ("cuda", 8, 1, None, 7), ("cuda", 64, 8, None, 7), ("cuda", 256, 1, None, 16),
        ("cuda", 1, 1, None, 1), ("cuda", 64, 8, 3, 3), ("cpu", 64, 1, 0, 0),
    ],
)  # fmt: skip
def test_a_gpu_has_a_thread_per_core_to_feed_it(
    device, cores, per_node, asked, expected, monkeypatch
):
    monkeypatch.setattr(distributed, "cpu_count", lambda: cores)
    processes = Processes(world=per_node, per_node=per_node)
    workers = chosen_workers(config_of(loader_workers=asked), processes, torch.device(device))
    assert workers == expected


@pytest.mark.parametrize(
    ("world", "device", "wanted", "synced"),
    [(2, "cuda", True, True), (2, "cuda", False, False), (1, "cuda", True, False),
     (2, "cpu", True, False)],
)  # fmt: skip
def test_batch_norm_is_shared_between_gpus(world, device, wanted, synced):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    names = list(network.state_dict())
    config = config_of(sync_batch_norm=wanted)
    found = with_synced_norms(network, config, Processes(world=world), torch.device(device))
    assert isinstance(found[1], nn.SyncBatchNorm) is synced
    assert list(found.state_dict()) == names


@pytest.mark.parametrize(("saved", "expected"), [([b"a"], b"a"), ([b"a", b"b", b"c"], b"b")])
def test_a_process_restores_the_generator_of_its_own_gpu(saved, expected, monkeypatch):
    """Checkpoints of older versions hold the generators of all GPUs."""
    restored = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_rng_state", restored.append)
    _set_cuda_rng(saved)
    assert restored == [expected]


def test_records_read_by_one_process_are_the_same_in_another(phantom_root):
    records = read_studies(phantom_root)
    assert any(r.boxes for r in records)
    assert records_of(json.loads(json.dumps(described(records)))) == records

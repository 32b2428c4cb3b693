"""A sweep searches, prunes, survives its workers and shares one journal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import pytest
import yaml

from core.config import RunConfig
from core.errors import ConfigError, TrainingError
from core.experiments import sweeps
from core.experiments.sweeps import SweepConfig, load_sweep_config, run_sweep, sweep_result
from core.training.runs import RunFolder
from tests import forked
from tests.stores import made_store

BASE = {"task": "fracture", "data_root": "/d", "backbone": "googlenet", "epochs": 4}
SPACE = {"max_lr": {"low": 1e-5, "high": 1e-1, "log": True}, "balanced": [True, False]}


def search(sweep, folder, *, train_one, progress=None):
    with mock.patch.object(sweeps, "train", train_one):
        return run_sweep(sweep, folder, store=made_store(Path("unused")), progress=progress)


def sweep_of(**changes):
    return SweepConfig(**({"base": BASE, "space": SPACE, "trials": 6} | changes))


def pretend(config, folder, *, store, on_evaluation):
    """AUC grows with the epochs and is the best at a learning rate of 1e-3."""
    run = RunFolder(folder)
    run.start(config, resume=False)
    for epoch in range(1, config.epochs + 1):
        miss = abs(1e-3 - config.max_lr)
        if on_evaluation(epoch, {"auc": 0.9 - miss + epoch / 100, "loss": miss}):
            break
    run.write_status("finished")
    return folder / "bundle"


def test_the_best_trial_is_the_one_with_the_best_last_value(tmp_path):
    seen = []
    result = search(
        sweep_of(prune=False, trials=12), tmp_path, train_one=pretend,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    values = {
        folder.name: RunConfig(**yaml.safe_load((folder / "config.yaml").read_text())).max_lr
        for folder in tmp_path.glob("trial-*")
    }
    nearest = min(values, key=lambda name: abs(1e-3 - values[name]))
    assert result.best_run == tmp_path / nearest
    assert result.best_values["max_lr"] == values[nearest]
    assert (result.finished, len(values)) == (12, 12)
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)


def test_poor_trials_are_pruned(tmp_path):
    calls = []

    def losing(config, folder, *, store, on_evaluation):
        RunFolder(folder).start(config, resume=False)
        for epoch in range(1, 5):
            calls.append(epoch)
            if on_evaluation(epoch, {"auc": 0.9 if len(calls) <= 8 else 0.1}):
                break
        return folder

    result = search(sweep_of(warmup_trials=2), tmp_path, train_one=losing)
    assert (result.finished, result.pruned) == (2, 4)
    assert calls.count(4) == 2


def test_an_interrupted_search_is_continued(tmp_path):
    search(sweep_of(trials=3), tmp_path, train_one=pretend)
    result = search(sweep_of(trials=5, prune=False), tmp_path / "b", train_one=pretend)
    assert result.finished == 5
    more = search(sweep_of(trials=7), tmp_path, train_one=pretend)
    assert more.finished + more.pruned == 7


def die(folder):
    """A worker that ends without a warning in its first trial."""

    def train_one(config, run, **_):
        RunFolder(run).start(config, resume=False)
        os._exit(9)

    search(sweep_of(), folder, train_one=train_one)


@pytest.mark.slow
def test_a_killed_workers_trial_counts_as_failed(tmp_path):
    assert forked.finish(forked.start(die, tmp_path, log=tmp_path / "log")) == 9
    result = search(sweep_of(trials=3), tmp_path, train_one=pretend)
    assert (result.failed, result.finished + result.pruned) == (1, 2)


def share(folder):
    """A worker whose trials wait until the other has begun one, too."""

    def train_one(config, run, **options):
        (run.parent / f"{run.name}-by-{os.getpid()}").touch()
        while len({path.name.split("-by-")[1] for path in run.parent.glob("*-by-*")}) < 2:
            time.sleep(0.05)
        return pretend(config, run, **options)

    search(sweep_of(trials=8, prune=False), folder, train_one=train_one)


@pytest.mark.slow
def test_two_workers_share_one_search_and_try_each_trial_once(tmp_path):
    folder = tmp_path / "sweep"
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    workers = [forked.start(share, folder, log=log) for log in logs]
    assert [forked.finish(w) for w in workers] == [0, 0], [log.read_text() for log in logs]
    takers = [path.name.split("-by-") for path in folder.glob("trial-*-by-*")]
    assert sorted(trial for trial, _ in takers) == [f"trial-{k:04d}" for k in range(8)]
    assert {int(pid) for _, pid in takers} == {worker.pid for worker in workers}
    result = sweep_result(sweep_of(trials=8, prune=False), folder)
    assert (result.finished, result.failed) == (8, 0)


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path):
    def fails_at_first(config, folder, **options):
        if folder.name.endswith("0"):
            raise TrainingError("No study.")
        return pretend(config, folder, **options)

    result = search(sweep_of(trials=3), tmp_path, train_one=fails_at_first)
    assert (result.failed, result.finished) == (1, 2)


def test_a_missing_metric_fails_the_trial_with_its_name(tmp_path):
    def one_class(config, folder, *, store, on_evaluation):
        on_evaluation(1, {"auc": None})
        return folder

    result = search(sweep_of(trials=1), tmp_path, train_one=one_class)
    assert (result.failed, result.best_value, result.best_run) == (1, None, None)


def test_a_folder_with_another_search_is_refused(tmp_path):
    search(sweep_of(trials=1), tmp_path, train_one=pretend)
    with pytest.raises(ConfigError, match="another search"):
        sweep_result(sweep_of(metric="loss"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"learning": [1]}}, "'learning'"),
        ({"space": {"max_lr": {"low": 2, "high": 1}}}, "swap"),
        ({"space": {"max_lr": {"low": 0, "high": 1, "log": True}}}, "low > 0"),
        ({"base": BASE | {"fold": "all"}}, "held-out fold"),
        ({"base": BASE | {"speed": 1}}, "speed"),
        ({"trial": 5}, "trial"),
    ],
)
def test_a_bad_sweep_file_is_named_with_its_key(tmp_path, change, message):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"base": BASE, "space": SPACE} | change))
    with pytest.raises(ConfigError, match=message) as caught:
        load_sweep_config(path)
    assert "sweep.yaml" in str(caught.value)


def test_a_missing_sweep_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        load_sweep_config(tmp_path / "nothing.yaml")

"""A sweep searches, prunes, survives its workers and shares one journal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import optuna
import pytest
import yaml

from core.config import RunConfig
from core.errors import ConfigError, TrainingError
from core.experiments import sweeps
from core.experiments.sweep_config import SweepConfig, load_sweep_config
from core.experiments.sweep_files import SweepFiles
from core.experiments.sweep_results import sweep_result
from core.experiments.sweeps import run_sweep
from core.system.atomic_files import write_json
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
        sweep_of(pruner="none", trials=12), tmp_path, train_one=pretend,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    values = {
        folder.name: RunConfig(**yaml.safe_load((folder / "config.yaml").read_text())).max_lr
        for folder in tmp_path.glob("trial-*")
    }
    nearest = min(values, key=lambda name: abs(1e-3 - values[name]))
    assert result.best.run == tmp_path / nearest
    assert result.best.values["max_lr"] == values[nearest]
    assert (result.count("finished"), len(values)) == (12, 12)
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
    assert (result.count("finished"), result.count("pruned")) == (2, 4)
    assert calls.count(4) == 2


def test_an_interrupted_search_is_continued(tmp_path):
    search(sweep_of(trials=3), tmp_path, train_one=pretend)
    result = search(sweep_of(trials=5, pruner="none"), tmp_path / "b", train_one=pretend)
    assert result.count("finished") == 5
    more = search(sweep_of(trials=7), tmp_path, train_one=pretend)
    assert more.count("finished") + more.count("pruned") == 7


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
    assert (result.count("failed"), result.count("finished") + result.count("pruned")) == (1, 2)


def share(folder):
    """A worker whose trials wait until the other has begun one, too."""

    def train_one(config, run, **options):
        (run.parent / f"{run.name}-by-{os.getpid()}").touch()
        while len({path.name.split("-by-")[1] for path in run.parent.glob("*-by-*")}) < 2:
            time.sleep(0.05)
        return pretend(config, run, **options)

    search(sweep_of(trials=8, pruner="none"), folder, train_one=train_one)


@pytest.mark.slow
def test_two_workers_share_one_search_and_try_each_trial_once(tmp_path):
    folder = tmp_path / "sweep"
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    workers = [forked.start(share, folder, log=log) for log in logs]
    assert [forked.finish(w) for w in workers] == [0, 0], [log.read_text() for log in logs]
    takers = [path.name.split("-by-") for path in folder.glob("trial-*-by-*")]
    assert sorted(trial for trial, _ in takers) == [f"trial-{k:04d}" for k in range(8)]
    assert {int(pid) for _, pid in takers} == {worker.pid for worker in workers}
    result = sweep_result(sweep_of(trials=8, pruner="none"), folder)
    assert (result.count("finished"), result.count("failed")) == (8, 0)


def test_a_trial_that_cannot_be_trained_does_not_end_the_search(tmp_path):
    def fails_at_first(config, folder, **options):
        if folder.name.endswith("0"):
            raise TrainingError("No study.")
        return pretend(config, folder, **options)

    result = search(sweep_of(trials=3), tmp_path, train_one=fails_at_first)
    assert (result.count("failed"), result.count("finished")) == (1, 2)


def test_a_missing_metric_fails_the_trial_with_its_name(tmp_path):
    def one_class(config, folder, *, store, on_evaluation):
        on_evaluation(1, {"auc": None})
        return folder

    result = search(sweep_of(trials=1), tmp_path, train_one=one_class)
    assert (result.count("failed"), result.best) == (1, None)


def test_a_folder_with_another_search_is_refused(tmp_path):
    search(sweep_of(trials=1), tmp_path, train_one=pretend)
    with pytest.raises(ConfigError, match="another search"):
        search(sweep_of(metric="loss"), tmp_path, train_one=pretend)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": {"learning": [1]}}, "'learning'"),
        ({"space": {"max_lr": {"low": 2, "high": 1}}}, "swap"),
        ({"space": {"max_lr": {"low": 0, "high": 1, "log": True}}}, "low > 0"),
        ({"base": BASE | {"fold": "all"}}, "held-out fold"),
        ({"base": BASE | {"speed": 1}}, "speed"),
        ({"trial": 5}, "trial"),
        ({"metric": "dice"}, "auc or auc_macro or loss"),
        ({"space": {"epochs": []}}, "no value"),
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


def test_what_the_user_stops_is_tried_again_and_does_not_count(tmp_path, monkeypatch):
    def stopped_at_first(config, folder, **options):
        if folder.name.endswith("0"):
            RunFolder(folder).start(config, resume=False)
            raise KeyboardInterrupt
        return pretend(config, folder, **options)

    with pytest.raises(KeyboardInterrupt):
        search(sweep_of(trials=2), tmp_path, train_one=stopped_at_first)
    stopped = sweep_result(sweep_of(trials=2), tmp_path)
    assert (stopped.ended, stopped.count("stopped")) == (0, 1)
    # Another process draws other values.
    other = optuna.samplers.RandomSampler(seed=99)
    monkeypatch.setattr(sweeps, "_sampler", lambda *_: other)
    result = search(sweep_of(trials=2), tmp_path, train_one=stopped_at_first)
    assert [trial.outcome for trial in result.trials] == ["stopped", "finished", "finished"]
    assert result.trials[1].values == result.trials[0].values
    assert result.is_complete


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"sampler": "random"}, "RandomSampler"),
        ({"sampler": "tpe"}, "TPESampler"),
        ({"pruner": "hyperband"}, "HyperbandPruner"),
        ({"pruner": "median"}, "MedianPruner"),
        ({"pruner": "none"}, "NopPruner"),
    ],
)
def test_sampler_and_pruner_are_the_ones_asked_for(options, kind):
    sweep = sweep_of(**options)
    made = {type(sweeps._sampler(sweep, 0)).__name__, type(sweeps._pruner(sweep)).__name__}
    assert kind in made


def test_a_result_has_the_curve_of_each_trial_the_history_and_what_matters(tmp_path):
    """The loss is `max_lr`'s distance alone, so all importance is that key's."""
    sweep = sweep_of(trials=24, metric="loss", pruner="none", sampler="random", name="Rates")
    result = search(sweep, tmp_path, train_one=pretend)
    assert sweep_result(load_sweep_config(tmp_path / "sweep.yaml"), tmp_path) == result
    losses = [abs(1e-3 - trial.values["max_lr"]) for trial in result.trials]
    assert [trial.measured for trial in result.trials] == [
        dict.fromkeys(range(1, 5), loss) for loss in losses
    ]
    best = [min(losses[: k + 1]) for k in range(24)]
    assert result.history() == list(zip(range(24), losses, best, strict=True))
    assert result.best.number == losses.index(min(losses))
    # The trees are fitted to a few values, which differ from process to process.
    assert result.importances["max_lr"] > 0.6
    assert sum(result.importances.values()) == pytest.approx(1)
    assert (result.best.run / "name.txt").read_text() == f"Rates · trial {result.best.number}"


def test_a_search_that_has_not_begun_has_no_trial(tmp_path):
    result = sweep_result(sweep_of(), tmp_path)
    assert (result.trials, result.best, result.ended, result.history()) == ((), None, 0, [])


def test_a_search_of_an_older_version_is_continued(tmp_path):
    sweep = sweep_of(trials=2, pruner="none")
    search(sweep, tmp_path, train_one=pretend)
    # It had no file of its own, and `prune` where there is a choice of pruners.
    (tmp_path / "sweep.yaml").unlink()
    journal = tmp_path / "optuna.journal"
    new = '\\"sampler\\":\\"tpe\\",\\"pruner\\":\\"none\\"'
    text = journal.read_text()
    assert new in text
    journal.write_text(text.replace(new, '\\"prune\\":false'))
    more = search(sweep_of(trials=3, pruner="none"), tmp_path, train_one=pretend)
    assert more.count("finished") == 3
    with pytest.raises(ConfigError, match="another search"):
        search(sweep_of(trials=3), tmp_path, train_one=pretend)


def test_workers_are_alive_by_their_locks_and_asked_to_stop_by_files(tmp_path):
    files = SweepFiles(tmp_path)
    first, second = files.new_worker(), files.new_worker()
    assert files.living_workers() == []
    with first.lock.held():
        (alive,) = files.living_workers()
        assert alive == first
        files.ask_to_stop()
        assert (first.stop_file.is_file(), second.stop_file.exists()) == (True, False)
    files.note_started(second, os.getpid())
    assert files.living_workers() == [second]
    write_json(first.progress, {"state": "failed", "message": "No disk.", "updated": 2})
    assert files.problem() == "No disk."

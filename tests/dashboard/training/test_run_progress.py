"""Order, progress, curves and results of runs."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from core.config import RunConfig
from core.training.run_list import list_runs
from core.training.runs import RunFolder
from dashboard.training.run_progress import (
    HeldOutAuc,
    at_work,
    curves_of,
    held_out_auc,
    in_order,
    members_of,
    progress_of,
    seconds_left,
    standings,
)


def make(root, name, *, state="running", step=20, total=40, epoch=0, lines=True, **changes):
    config = RunConfig(**({"task": "fracture", "data_root": "/d", "epochs": 2} | changes))
    run = RunFolder(root / name)
    run.start(config, resume=False)
    if lines:
        add_step(run, 10, at=0)
        add_step(run, 20, at=5)
    run.write_status(state, step=step, total_steps=total, epoch=epoch)
    return run


def add_step(run, number, *, at):
    """A line that was written `at` seconds after this process took up the run."""
    written = datetime.fromtimestamp(run.read_status().began + 1 + at, UTC)
    line = {"event": "step", "time": written.isoformat(timespec="milliseconds"), "step": number,
            "loss": 1 / number, "images_per_second": 8.0, "learning_rate": 1e-3}  # fmt: skip
    with run.metrics_file.open("a") as stream:
        stream.write(json.dumps(line) + "\n")


def runs_of(root):
    return {run.run_id: run for run in list_runs(root)}


def test_folds_stand_below_their_run_whoever_moved_last(tmp_path):
    make(tmp_path, "cv", fold="all", lines=False)
    make(tmp_path, "cv/fold-1", fold=1)
    time.sleep(0.01)
    make(tmp_path, "later", state="finished")
    time.sleep(0.01)
    make(tmp_path, "cv/fold-0", fold=0)
    ordered = [run.run_id for run in in_order(list_runs(tmp_path))]
    assert ordered == ["cv", "cv/fold-0", "cv/fold-1", "later"]


def test_time_left_follows_the_pace_of_the_last_lines(tmp_path):
    make(tmp_path, "one")
    run = runs_of(tmp_path)["one"]
    assert seconds_left(run) == pytest.approx(10.0)
    assert seconds_left(run, more_runs=2) == pytest.approx(50.0)
    assert progress_of(run, "training").text == "step 20 of 40, epoch 1 of 2 · less than 1 min left"


def test_time_left_of_a_resumed_run_leaves_out_steps_and_pause_of_the_process_before(tmp_path):
    run = make(tmp_path, "one", lines=False, step=40, total=100)
    add_step(run, 10, at=-7200)
    add_step(run, 20, at=-7199)
    assert seconds_left(runs_of(tmp_path)["one"]) is None
    add_step(run, 30, at=0)
    assert seconds_left(runs_of(tmp_path)["one"]) is None
    add_step(run, 40, at=5)
    assert seconds_left(runs_of(tmp_path)["one"]) == pytest.approx(30.0)


def test_a_finished_run_is_in_its_last_epoch_and_has_no_time_left(tmp_path):
    make(tmp_path, "one", state="finished", step=40, epoch=2)
    progress = progress_of(runs_of(tmp_path)["one"], "finished")
    assert (progress.share, progress.text) == (1.0, "step 40 of 40, epoch 2 of 2")


def test_before_the_first_step_the_message_is_what_there_is_to_say(tmp_path):
    run = make(tmp_path, "one", lines=False)
    run.write_status("preparing", total_steps=0, message="study 3 of 9")
    shown = runs_of(tmp_path)["one"]
    assert progress_of(shown, "preparing data").text == "study 3 of 9"
    assert progress_of(replace(shown, status=None), "unreadable").text == "unreadable"


def test_a_run_over_folds_counts_folds_and_the_share_of_the_one_at_work(tmp_path):
    make(tmp_path, "cv", fold="all", folds=4, step=1, total=4, lines=False)
    make(tmp_path, "cv/fold-0", fold=0, folds=4, state="finished", step=40)
    make(tmp_path, "cv/fold-1", fold=1, folds=4)
    runs = runs_of(tmp_path)
    members = members_of(runs["cv"], runs.values())
    assert at_work(runs["cv"], members).run_id == "cv/fold-1"
    progress = progress_of(runs["cv"], "training", members)
    assert progress.share == pytest.approx(1.5 / 4)
    assert progress.text == "fold 2 of 4: step 20 of 40, epoch 1 of 2 · less than 1 min left"


@pytest.mark.parametrize(
    ("state", "finished", "share", "text"),
    [
        ("running", 2, 0.99, "predicting the held-out"),
        ("finished", 2, 1.0, "2 folds trained and pooled"),
        ("stopped", 1, 0.5, "1 of 2 folds are trained"),
    ],
)
def test_a_run_over_folds_says_what_is_left_when_no_fold_trains(
    tmp_path, state, finished, share, text
):
    make(tmp_path, "cv", fold="all", folds=2, state=state, step=1, total=2, lines=False)
    for fold in range(finished):
        make(tmp_path, f"cv/fold-{fold}", fold=fold, folds=2, state="finished")
    runs = runs_of(tmp_path)
    progress = progress_of(runs["cv"], state, members_of(runs["cv"], runs.values()))
    assert progress.share == share
    assert text in progress.text


def test_the_curves_of_a_run_over_folds_are_those_of_its_folds(tmp_path):
    make(tmp_path, "cv", fold="all", folds=2, lines=False).append_metrics("validation", step=2)
    make(tmp_path, "cv/fold-0", fold=0, folds=2)
    runs = runs_of(tmp_path)
    curves = curves_of(runs["cv"], members_of(runs["cv"], runs.values()))
    assert list(curves) == ["fold-0"]
    assert curves["fold-0"].step["step"].tolist() == [10, 20]
    assert curves_of(runs["cv"]) == {}
    assert list(curves_of(runs["cv/fold-0"])) == ["cv/fold-0"]


def test_standings_give_the_last_of_each_figure_and_a_dash_for_none(tmp_path):
    make(tmp_path, "a").append_metrics("validation", step=20, auc=0.75)
    make(tmp_path, "b", lines=False)
    table = standings(in_order(list_runs(tmp_path))).set_index("Run")
    assert table.loc["a"].tolist() == ["0.750", "0.750", "–", "0.0500", "20", "8.0"]
    assert set(table.loc["b"]) == {"–"}


def test_the_best_and_the_last_auc_are_told_with_their_slices():
    lines = pd.DataFrame(
        {"step": [5, 9, 14], "epoch": [1, 2, 3], "auc": [0.7, 0.9, None], "slices": [40, 40, 40]}
    )
    found = held_out_auc(lines)
    assert (found.last, found.best, found.best_epoch, found.n) == (0.9, 0.9, 2, 40)
    lines["auc"] = [0.7, 0.9, 0.8]
    found = held_out_auc(lines)
    assert (found.last, found.best, found.on) == (0.8, 0.9, " (n = 40 slices)")


def test_an_auc_that_is_not_there_is_none():
    assert held_out_auc(pd.DataFrame()) == HeldOutAuc()
    assert held_out_auc(pd.DataFrame({"step": [1], "auc": [None]})) == HeldOutAuc()
    # Written by older versions, and for a run over folds.
    assert held_out_auc(pd.DataFrame({"step": [1], "auc": [0.5]})) == HeldOutAuc(0.5, 0.5)

"""Sweeps on the training page: asked for by the form's fields, followed, extended, used."""

from __future__ import annotations

import shutil

import pytest

from core.config import RunConfig
from core.experiments.sweep_config import SweepConfig, load_sweep_config
from core.experiments.sweep_files import SweepFiles
from core.experiments.sweep_results import sweep_result
from core.training.run_list import list_runs, summarise_run
from dashboard.training import sweep_processes
from tests.core.experiments.test_sweeps import pretend, search
from tests.pages.driver import expect_refused, html, open_page


@pytest.fixture
def launched(workplace, monkeypatch):
    """Folders and numbers of workers that would have been started."""
    started = []
    monkeypatch.setattr(sweep_processes, "_add_workers", lambda *asked: started.append(asked))
    yield started
    shutil.rmtree(workplace.var / "runs", ignore_errors=True)


def sweeps(**query):
    app = open_page("training", **query)
    return app.button_group(key="training_section").set_value("Sweeps").run()


def button(app, label):
    return next((b for b in app.button if b.label == label), None)


def made_sweep(workplace, name="made", *, trials=6, of=6):
    """A sweep in which so many trials have ended."""
    base = RunConfig(task="fracture", data_root=workplace.var / "demo", size=32, epochs=2)
    sweep = SweepConfig(
        base=base.model_dump(mode="json"), trials=trials, pruner="none", name="Learning rates",
        space={"max_lr": {"low": 1e-4, "high": 1e-2, "log": True}, "balanced": [True, False]},
    )  # fmt: skip
    folder = workplace.var / "runs" / name
    search(sweep, folder, train_one=pretend)
    SweepFiles(folder).keep(sweep.model_copy(update={"trials": of}))
    return folder


def test_a_sweep_is_asked_for_by_the_fields_of_the_form(at_work, launched):
    app = sweeps()
    assert not app.exception
    assert "No sweep yet" in html(app)
    app.multiselect(key="sweep_keys").set_value(["max_lr", "balanced", "size"]).run()
    assert not app.exception
    app.number_input(key="sweep_max_lr_to").set_value(0.01)
    app.number_input(key="sweep_size_from").set_value(64)
    app.number_input(key="sweep_trials").set_value(3)
    app.selectbox(key="sweep_sampler").set_value("random")
    app.text_input(key="sweep_name").set_value(" Rates  and sizes ").run()
    button(app, "Start the sweep").click().run()
    assert not app.exception
    ((folder, workers),) = launched
    asked = load_sweep_config(folder / "sweep.yaml")
    assert workers == 1
    assert (asked.name, asked.trials, asked.sampler) == ("Rates and sizes", 3, "random")
    assert asked.base["task"] == "fracture"
    rates, sizes = asked.space["max_lr"], asked.space["size"]
    assert (rates.low, rates.high, rates.log) == (1e-5, 0.01, True)
    assert (sizes.low, sizes.high, type(sizes.low)) == (64, 384, int)
    assert asked.space["balanced"] == [False, True]
    assert list(app.dataframe[0].value["State"]) == ["stopped – resume"]


def test_a_range_the_wrong_way_round_is_reported_and_nothing_starts(at_work, launched):
    app = sweeps()
    app.number_input(key="sweep_max_lr_from").set_value(0.5).run()
    assert "swap them" in app.error[0].value
    assert button(app, "Start the sweep") is None


@pytest.mark.slow
def test_a_finished_sweep_is_drawn_and_its_best_trial_is_a_run(at_work, launched):
    folder = made_sweep(at_work)
    best = sweep_result(load_sweep_config(folder / "sweep.yaml"), folder).best
    app = sweeps(sweep="made")
    assert not app.exception
    assert list(app.dataframe[0].value["State"]) == ["finished"]
    assert len(app.get("plotly_chart")) == 4
    assert f"The best trial: {best.number}" in html(app)
    assert button(app, "Resume") is None
    button(app, "Keep as a run").click().run()
    assert not app.exception
    kept = at_work.var / "runs" / f"made-{best.run.name}"
    summary = summarise_run(kept)
    assert (summary.state, summary.name) == ("finished", f"Learning rates · trial {best.number}")
    assert summary.config == summarise_run(best.run).config
    button(app, "Open its run").click().run()
    assert not app.exception
    assert app.button_group(key="training_section").value == "Runs"
    assert f"Learning rates · trial {best.number}" in html(app)
    app.button_group(key="training_section").set_value("Sweeps").run()
    button(app, "New run with these values").click().run()
    assert app.number_input(key="train_max_lr").value == best.values["max_lr"]


@pytest.mark.slow
def test_a_stopped_sweep_is_resumed_by_one_click_and_extended(at_work, launched):
    folder = made_sweep(at_work, trials=2, of=4)
    app = sweeps()
    assert list(app.dataframe[0].value["State"]) == ["stopped – resume"]
    assert list(app.dataframe[0].value["Trials"]) == ["2 of 4"]
    button(app, "Resume").click().run()
    assert not app.exception
    assert launched == [(folder, 1)]
    app.number_input(key="more_trials").set_value(9)
    app.number_input(key="more_workers").set_value(2)
    button(app, "Go on").click().run()
    assert launched[1:] == [(folder, 2)]
    assert load_sweep_config(folder / "sweep.yaml").trials == 9


def test_deleting_a_sweep_asks_once_and_takes_its_runs_along(at_work, launched):
    folder = made_sweep(at_work, trials=1, of=1)
    app = sweeps()
    assert len(list_runs(at_work.var / "runs")) == 1
    button(app, "Delete for good").click().run()
    assert not app.exception
    assert not folder.exists()
    assert "No sweep yet" in html(app)


def test_a_living_sweep_can_only_be_stopped(at_work, launched):
    folder = made_sweep(at_work, trials=1, of=4)
    worker = SweepFiles(folder).new_worker()
    with worker.lock.held():
        app = sweeps()
        assert list(app.dataframe[0].value["State"]) == ["searching"]
        assert button(app, "Delete for good") is None
        button(app, "Stop").click().run()
        assert worker.stop_file.is_file()


def test_a_read_only_dashboard_shows_sweeps_and_changes_none(at_work, launched, monkeypatch):
    made_sweep(at_work, trials=2, of=2)
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    app = sweeps()
    assert not app.exception
    assert {b.label for b in app.main.button} == {"Open its run"}


def test_a_link_to_a_sweep_that_is_not_there_opens_nothing(at_work, launched):
    made_sweep(at_work, trials=1, of=1)
    expect_refused(open_page("training", sweep="another"), "sweep", "another")

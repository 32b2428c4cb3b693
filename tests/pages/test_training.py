"""The training page asks, plans, starts, follows, compares – and changes nothing when read-only."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import RunConfig, load_run_config
from core.inference.outputs import write_predictions
from core.system import atomic_files, movement
from core.training.paces import keep_pace
from core.training.run_list import summarise_run
from core.training.run_notes import read_notes
from core.training.run_status import STALE_SECONDS
from core.training.runs import RunFolder
from core.training.schedule import Pace
from core.types import SlicePredictions
from dashboard.training import paired_section, run_onward, run_processes
from dashboard.training.form_fields import FIELDS, START_SIZE
from dashboard.training.form_layout import fields_of
from dashboard.training.form_state import first_config
from tests.dashboard.workplace import FRACTURED, SOUND
from tests.pages.driver import APP, html, open_page, wait_for_verdict


@pytest.fixture
def launched(workplace, monkeypatch):
    """Folders whose training would have been started."""
    folders = []
    monkeypatch.setattr(run_processes, "_launch", lambda folder: folders.append(folder))
    yield folders
    shutil.rmtree(workplace.var / "runs", ignore_errors=True)


def section(app, name):
    return app.button_group(key="training_section").set_value(name).run()


def field(app, kind, name):
    return getattr(app, kind)(key=f"train_{name}")


def button(app, label):
    return next((b for b in app.button if b.label == label), None)


def made_run(workplace, name, state="finished", **changes):
    config = RunConfig(**({"task": "fracture", "data_root": workplace.var / "demo"} | changes))
    run = RunFolder(workplace.var / "runs" / name)
    run.start(config, resume=False)
    for step in (10, 20):
        run.append_metrics("step", step=step, loss=1 / step, learning_rate=1e-3,
                           images_per_second=50.0, loader_wait_share=0.02)  # fmt: skip
    run.append_metrics("validation", step=20, auc=0.8125)
    run.write_status(state, step=20, total_steps=40)
    return run


def test_the_form_shows_the_plan_before_anything_runs(at_work, launched):
    app = open_page("training")
    assert not app.exception
    text = html(app)
    assert "The plan" in text
    assert "unknown" in text
    assert len(app.get("plotly_chart")) == 1
    assert launched == []


def test_the_time_is_estimated_once_the_pace_is_measured(at_work, launched, monkeypatch):
    def measure(config):
        keep_pace(
            at_work.var, Pace(config.backbone, config.preparation.size, config.precision, 2.0)
        )

    monkeypatch.setattr(run_processes, "measure_pace", measure)
    app = open_page("training")
    assert "unknown" in html(app)
    button(app, "Measure the pace here").click().run()
    app.run()
    assert not app.exception
    assert "about" in html(app)
    assert button(app, "Measure the pace here") is None
    (at_work.var / "paces.json").unlink()


@pytest.mark.slow
def test_starting_writes_the_config_as_asked_and_turns_to_the_runs(at_work, launched):
    app = open_page("training")
    field(app, "selectbox", "backbone").set_value("googlenet").run()
    field(app, "number_input", "epochs").set_value(3).run()
    button(app, "Start training").click().run()
    assert not app.exception
    (folder,) = launched
    config = run_processes.all_runs()[0].config
    assert (config.backbone, config.epochs, config.max_lr) == ("googlenet", 3, None)
    assert "has started" in app.success[0].value
    assert folder.name in html(app)


def test_values_that_do_not_fit_are_reported_and_nothing_starts(at_work, launched):
    app = open_page("training")
    field(app, "selectbox", "head").set_value("dense").run()
    assert "a dense head takes a square that follows the spine" in app.error[0].value
    assert button(app, "Start training") is None


def test_the_task_decides_which_fields_there_are_and_what_they_begin_with(at_work, launched):
    app = open_page("training")
    keys = {w.key for w in [*app.selectbox, *app.number_input, *app.toggle]}
    assert {"train_type", "train_head", "train_balanced"} <= keys
    assert not {"train_negatives", "train_augment_shift", "train_early_stopping_loss"} & keys
    field(app, "selectbox", "type").set_value(3)
    field(app, "toggle", "balanced").set_value(True).run()
    field(app, "selectbox", "task").set_value("segmentation").run()
    assert not app.exception
    assert not app.error
    keys = {w.key for w in [*app.selectbox, *app.number_input, *app.toggle]}
    assert not {"train_type", "train_head", "train_balanced", "train_channels"} & keys
    assert field(app, "number_input", "size").value == 56
    assert field(app, "number_input", "field_mm").value == 112
    field(app, "selectbox", "task").set_value("localization").run()
    assert field(app, "selectbox", "backbone").options == ["mobilenet_v3_large", "resnet50"]
    field(app, "toggle", "early_stopping").set_value(True).run()
    assert field(app, "selectbox", "early_stopping_loss").value == "training"
    button(app, "Start training").click().run()
    (run,) = run_processes.all_runs()
    assert (run.config.task, run.config.type, run.config.backbone) == (
        "localization", 1, "mobilenet_v3_large",
    )  # fmt: skip
    # What was asked of a slice network has no effect on a localiser.
    assert not run.config.balanced


def test_a_recipe_fills_the_form_and_a_preset_keeps_what_was_asked(at_work, launched):
    app = open_page("training")
    app.selectbox(key="recipe").set_value("Dense").run()
    assert not app.exception
    assert (field(app, "selectbox", "head").value, field(app, "number_input", "size").value) == (
        "dense", 144,
    )  # fmt: skip
    assert field(app, "selectbox", "data_root").value == str(at_work.var / "demo")
    field(app, "number_input", "epochs").set_value(9).run()
    app.text_input(key="preset_name").set_value("  dense, nine  ")
    button(app, "Save").click().run()
    assert "“" in app.success[0].value
    assert load_run_config(at_work.var / "presets" / "dense, nine.yaml").epochs == 9
    app.selectbox(key="recipe").set_value("The method").run()
    assert field(app, "number_input", "epochs").value == 1
    app.selectbox(key="recipe").set_value("dense, nine").run()
    assert field(app, "number_input", "epochs").value == 9
    app.button(key="preset_delete").click().run()
    assert not list((at_work.var / "presets").iterdir())


def test_one_batch_is_tried_and_its_first_error_reported(at_work, launched, monkeypatch):
    asked = []
    monkeypatch.setattr(run_processes, "run_core", lambda *words, seconds: asked.append(words[0]))
    app = open_page("training")
    button(app, "Try one batch").click().run()
    assert "without an error" in app.success[0].value
    monkeypatch.setattr(run_processes, "run_core", lambda *_, seconds: "No box; add some.")
    button(app, "Try one batch").click().run()
    assert "could not be trained: No box" in app.error[0].value
    assert asked == ["try"]
    assert launched == []


def test_a_data_root_that_does_not_exist_is_reported(at_work, launched, monkeypatch):
    monkeypatch.setenv("BROWSE_ROOTS", "/nowhere")
    app = AppTest.from_file(str(APP), default_timeout=30)
    app.session_state["train_data_root"] = "/nowhere"
    app = app.run().switch_page("../pages/training.py").run()
    assert field(app, "selectbox", "data_root").value == "/nowhere"
    assert "/nowhere" in app.error[0].value
    monkeypatch.setenv("BROWSE_ROOTS", "/elsewhere")
    app.run()
    assert "below BROWSE_ROOTS" in app.error[0].value


def test_every_setting_is_explained_on_the_page_with_its_default(at_work, launched):
    captions = {caption.value for caption in open_page("training").caption}
    wanted = {field.explanation for field in fields_of(first_config())}
    assert wanted <= captions
    assert len(wanted) > 40


def test_data_and_bundles_of_this_machine_are_offered(at_work, launched):
    folder = made_run(at_work, "v", task="vertebra", data_root=at_work.root).folder / "bundle"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    app = open_page("training")
    assert field(app, "selectbox", "data_root").options == [
        str(at_work.var / "demo"), str(at_work.root),
    ]  # fmt: skip
    assert field(app, "selectbox", "vertebra_bundle").options == [
        "none", str(at_work.checkpoints / "vertebra-made"), str(folder),
    ]  # fmt: skip


def test_a_run_is_shown_with_its_figures(at_work, launched):
    made_run(at_work, "one")
    app = section(open_page("training"), "Runs")
    assert not app.exception
    text = html(app)
    assert "0.812" in text
    assert "50.0" in text
    assert app.dataframe[0].value["State"].tolist() == ["finished"]
    assert button(app, "Resume") is None


def test_a_run_over_folds_shows_its_folds_and_what_they_found(at_work, launched):
    whole = made_run(at_work, "cv", fold="all", folds=2)
    for fold in (0, 1):
        made_run(at_work, f"cv/fold-{fold}", fold=fold, folds=2)
    figure = {"mean": 0.75, "sd": 0.05, "values": [0.7, 0.8]}
    atomic_files.write_json(whole.folder / "cross_validation.json", {
        "folds": {"patient": {"auc": figure}},
        "pooled": {"patient": {"auc": 0.76, "intervals": {"auc": [0.6, 0.9]}}},
    })  # fmt: skip
    app = section(open_page("training"), "Runs")
    assert not app.exception
    assert app.dataframe[0].value["Run"].tolist() == ["cv", "↳ fold-0", "↳ fold-1"]
    (row,) = app.dataframe[1].value.to_dict("records")
    assert row["Pooled"] == "0.760"
    assert row["95 % interval"] == "0.600 – 0.900"
    assert row["Mean ± sd over folds"] == "0.750 ± 0.050"
    (chart,) = app.get("plotly_chart")
    assert "fold-0" in chart.proto.spec
    assert "2 folds trained and pooled" in app.get("progress")[0].proto.text


def test_a_run_without_measures_has_words_instead_of_empty_axes(at_work, launched):
    run = RunFolder(at_work.var / "runs" / "new")
    run.start(RunConfig(task="fracture", data_root=at_work.var / "demo"), resume=False)
    app = section(open_page("training"), "Runs")
    assert "Nothing has been measured yet" in html(app)
    assert len(app.get("plotly_chart")) == 0


def test_a_run_that_hangs_offers_to_resume(at_work, launched, monkeypatch):
    run = made_run(at_work, "one", state="running")
    summarise_run(run.folder)
    real = time.monotonic
    monkeypatch.setattr(movement.time, "monotonic", lambda: real() + STALE_SECONDS + 1)
    app = section(open_page("training"), "Runs")
    assert app.dataframe[0].value["State"].tolist() == ["no sign of life – resume"]
    assert button(app, "Resume") is not None


def test_a_crashed_run_offers_to_resume(at_work, launched):
    run = made_run(at_work, "one", state="running")
    run.status_file.write_text(
        run.status_file.read_text().replace('"process_started": "', '"process_started": "1')
    )
    app = section(open_page("training"), "Runs")
    assert app.dataframe[0].value["State"].tolist() == ["crashed – resume"]
    button(app, "Resume").click().run()
    assert launched == [run.folder]


def test_a_new_run_starts_from_the_defaults_that_it_names(at_work, launched):
    app = open_page("training")
    size = next(one for group in FIELDS.values() for one in group if one.key == "size")
    assert field(app, "number_input", "size").value == START_SIZE
    assert size.default.startswith(f"{START_SIZE},")


def test_duplicating_fills_the_form(at_work, launched, monkeypatch):
    made_run(at_work, "one", backbone="resnet50", epochs=7, fold="all")
    app = section(open_page("training"), "Runs")
    reruns, rerun = [], st.rerun

    def noted(**options):
        reruns.append(options)
        rerun(**options)

    # In a browser the button is in a fragment that the form is outside of.
    monkeypatch.setattr(st, "rerun", noted)
    button(app, "Duplicate").click().run()
    assert field(app, "selectbox", "backbone").value == "resnet50"
    assert field(app, "number_input", "epochs").value == 7
    assert "all" in field(app, "selectbox", "fold").value
    assert reruns == [{"scope": "app"}]


def test_deleting_needs_a_second_click(at_work, launched):
    run = made_run(at_work, "one")
    app = section(open_page("training"), "Runs")
    assert run.folder.is_dir()
    button(app, "Delete for good").click().run()
    assert not run.folder.exists()
    assert "No run yet" in html(app)


def test_notes_are_kept_shown_and_found(at_work, launched):
    made_run(at_work, "one")
    made_run(at_work, "two")
    app = section(open_page("training"), "Runs")
    run_id = app.dataframe[0].value["Id"].iloc[0]
    app.text_input(key=f"tags_{run_id}").set_value("baseline, <b>odd</b>")
    app.text_area(key=f"note_{run_id}").set_value("wide window")
    button(app, "Save").click().run()
    assert not app.exception
    assert read_notes(at_work.var / "runs" / run_id).tags == ("baseline", "<b>odd</b>")
    assert "&lt;b&gt;odd" in html(app)
    assert "wide window" in [text.value for text in app.text]
    app.text_input(key="run_search").set_value("baseline").run()
    assert list(app.dataframe[0].value["Id"]) == [run_id]
    app.text_input(key="run_search").set_value("nothing such").run()
    assert "No run matches" in html(app)
    app.text_input(key="run_search").set_value("").run()
    app.checkbox(key=f"archived_{run_id}").check()
    button(app, "Save").click().run()
    other = ({"one", "two"} - {run_id}).pop()
    app = section(open_page("training", run=other), "Runs")
    assert list(app.dataframe[0].value["Id"]) == [other]
    app.toggle(key="run_archived").set_value(True).run()
    assert set(app.dataframe[0].value["Id"]) == {"one", "two"}


def test_runs_are_compared_by_what_differs(at_work, launched):
    made_run(at_work, "one", epochs=1)
    time.sleep(0.01)
    made_run(at_work, "two", epochs=2)
    app = section(open_page("training"), "Compare")
    assert not app.exception
    standings, differences = (table.value for table in app.dataframe)
    assert standings["Run"].tolist() == ["two", "one"]
    assert set(standings["Last held-out AUC"]) == {"0.812"}
    assert differences.index.tolist() == ["Epochs"]
    assert len(app.get("plotly_chart")) == 1


def test_two_runs_are_compared_on_the_patients_that_both_held_out(at_work, launched, monkeypatch):
    asked = []
    monkeypatch.setattr(paired_section, "start_score", asked.append)
    runs = [made_run(at_work, name, epochs=epochs) for name, epochs in (("one", 1), ("two", 2))]
    app = section(open_page("training"), "Compare")
    app.button(key="paired_predict").click().run()
    assert not app.exception
    assert sorted(asked) == [run.folder for run in runs]
    for run, score in zip(runs, (0.9, 0.2), strict=True):
        found = [
            SlicePredictions(uid, -np.arange(3.0), flat(0.5), flat(value), 2)
            for uid, value in ((FRACTURED, score), (SOUND, 0.4))
        ]
        write_predictions(run.folder / "predictions", found, seconds=[0, 0], single=False)
    app.run()
    assert not app.exception
    (paired,) = [table.value for table in app.dataframe if "95 % interval" in table.value]
    # The first listed is the last one active: its fractured patient is below the sound one.
    row = next(r for r in paired.to_dict("records") if r["Metric"] == "ROC AUC")
    assert (row["Level"], row["two − one"]) == ("fractured patient", "-1.000")


def flat(value):
    return np.full((3, 7), value, np.float32)


def test_one_run_cannot_be_compared(at_work, launched):
    made_run(at_work, "one")
    assert "A comparison needs two runs" in html(section(open_page("training"), "Compare"))


def test_a_read_only_dashboard_hides_what_changes_something(at_work, launched, monkeypatch):
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    made_run(at_work, "one")
    app = open_page("training")
    assert [b.label for b in app.main.button] == []
    app = section(app, "Runs")
    assert [b.label for b in app.main.button] == []
    assert "one" in html(app)


def finished_run(workplace, name, bundle="fracture-made", **changes):
    """A finished run with a network and a name."""
    run = made_run(workplace, name, state="finished", **changes)
    run.name_file.write_text("My run")
    shutil.copytree(workplace.checkpoints / bundle, run.bundle)
    return run


@pytest.mark.slow
def test_a_run_gets_the_typed_name_or_a_usual_one(at_work, launched):
    app = open_page("training")
    usual = app.text_input(key="run_name").placeholder
    assert usual.startswith("Fracture detection, Type 1 · mobilenet_v3_large · fold 0")
    button(app, "Start training").click().run()
    section(app, "New run")
    assert app.text_input(key="run_name").placeholder == f"{usual} (2)"
    app.text_input(key="run_name").set_value("  half the  slices ").run()
    button(app, "Start training").click().run()
    assert not app.exception
    assert {run.name for run in run_processes.all_runs()} == {usual, "half the slices"}
    shown = app.dataframe[0].value
    assert set(shown["Run"]) == {usual, "half the slices"}
    assert set(shown["Id"]) == {run.run_id for run in run_processes.all_runs()}


def test_a_run_of_before_keeps_its_id(at_work, launched):
    made_run(at_work, "20260101-120000-old")
    app = section(open_page("training"), "Runs")
    assert list(app.dataframe[0].value["Run"]) == ["20260101-120000-old"]


@pytest.mark.slow
def test_a_finished_network_is_used_in_diagnosis(at_work, launched):
    finished_run(at_work, "one")
    app = section(open_page("training"), "Runs")
    app.button(key="run_use").click().run()
    assert not app.exception
    assert "<h1>Diagnosis</h1>" in html(app)
    assert app.selectbox(key="fracture_bundle").value == "run.one"
    assert app.query_params["fracture_network"] == "run.one"
    linked = wait_for_verdict(open_page("diagnosis", fracture_network="run.one"))
    assert linked.selectbox(key="fracture_bundle").value == "run.one"


@pytest.mark.slow
def test_a_finished_vertebra_network_takes_the_place_of_its_own_kind(at_work, launched):
    finished_run(at_work, "two", bundle="vertebra-made", task="vertebra")
    app = section(open_page("training"), "Runs")
    app.button(key="run_use").click().run()
    assert app.selectbox(key="vertebra_bundle").value == "run.two"
    assert app.selectbox(key="fracture_bundle").value == "fracture-made"


@pytest.mark.slow
def test_a_scored_run_is_evaluated_on_its_own_data(at_work, launched):
    run = finished_run(at_work, "three")
    app = wait_for_verdict(open_page("diagnosis"))
    table = next((at_work.var / "cache" / "predictions").rglob("slices.parquet"))
    shutil.copytree(table.parent, run.folder / "predictions")
    app = section(open_page("training"), "Runs")
    app.button(key="run_evaluate").click().run()
    assert not app.exception
    assert "<h1>Evaluation</h1>" in html(app)
    assert app.multiselect(key="ev_models").value == ["run.three"]
    assert "run My run" in app.multiselect(key="ev_models").options


@pytest.mark.slow
def test_a_run_that_has_not_predicted_its_patients_does_so_first(at_work, launched, monkeypatch):
    asked = []
    monkeypatch.setattr(run_onward, "start_score", asked.append)
    run = finished_run(at_work, "four")
    app = section(open_page("training"), "Runs")
    app.button(key="run_evaluate").click().run()
    assert not app.exception
    assert asked == [run.folder]


def test_an_unfinished_run_leads_nowhere_yet(at_work, launched):
    made_run(at_work, "five", state="stopped")
    app = section(open_page("training"), "Runs")
    assert not {button.key for button in app.button} & {"run_use", "run_evaluate"}

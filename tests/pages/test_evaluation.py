"""The Evaluation page compares, follows a threshold, links, saves – and hides saving read-only."""

from __future__ import annotations

import json
import re
import shutil
from html import escape

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from streamlit.testing.v1 import AppTest

from core.config import Settings
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.models.bundles import read_bundle, team_points_file, with_team_points
from core.models.operating_points import operating_point
from dashboard.evaluation.sources import find_sources
from dashboard.evaluation.view import VIEW_FIELDS
from dashboard.session.wording import literal
from tests.dashboard.made_predictions import NAMES, SHIPPED_POINT, write_predictions_place
from tests.pages.driver import APP, expect_refused, html


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two bundles with predictions on two cohorts."""
    root = tmp_path_factory.mktemp("evaluation")
    write_predictions_place(root / "checkpoints", studies=24, slices=2_200, models=2)
    return root


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A copy that a test may change, and the environment that points to it."""
    shutil.copytree(made / "checkpoints", tmp_path / "checkpoints")
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "var" / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    return tmp_path


def open_evaluation(**query: str) -> AppTest:
    """The page as a link opens it."""
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page("../pages/evaluation.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def best(place, level: str = "patient") -> str:
    """The model with the highest AUC, from the arrays themselves."""
    folder = place / "checkpoints"
    truth = read_truth_table(folder / "cohorts" / "held_out.parquet").fractured
    aucs = {}
    for name in NAMES[:2]:
        scores = read_score_table(folder / name / "predictions" / "held_out.parquet")
        aucs[name] = (
            roc_auc_score(truth.any(axis=1), scores.patient_scores)
            if level == "patient"
            else roc_auc_score(truth.ravel(), scores.vertebra_scores.ravel())
        )
    return max(aucs, key=lambda name: aucs[name])


def consequences(app) -> str:
    """The line of the active model."""
    line = re.search(r'<li class="lab-focus">(.*?)</li>', html(app)).group(1)
    return re.sub(r"</?span( data-live=[^>]*)?>", "", line)


def move(app, *values: float, model: str = NAMES[0]) -> None:
    """Open the link to these thresholds; AppTest has no components to move."""
    app.query_params["moved"] = f"bundle.{model}*{'_'.join(map(repr, values))}"
    app.run()


def expected(place, threshold: float) -> str:
    """The same line from the arrays themselves."""
    folder = place / "checkpoints"
    scores = read_score_table(folder / best(place) / "predictions" / "held_out.parquet")
    truth = read_truth_table(folder / "cohorts" / "held_out.parquet").fractured.any(axis=1)
    called = scores.patient_scores >= threshold
    return (
        f"{int((truth & ~called).sum())} of {int(truth.sum())} fractured patients are missed, "
        f"{int((~truth & called).sum())} of {int((~truth).sum())} healthy ones called fractured"
    )


@pytest.mark.slow
def test_models_are_compared_and_a_moved_threshold_moves_everything(place):
    app = open_evaluation()
    text = html(app)
    assert all(name in text for name in NAMES[:2])
    assert "another data set" in text
    assert "Chosen on Training cohort" in " ".join(c.value for c in app.caption)
    assert len(app.get("plotly_chart")) == 3
    # Whether scores can be trusted is computed once it is asked for.
    app.session_state["ev_fold_trust"] = True
    text = html(app.run())
    assert len(app.get("plotly_chart")) == 7
    before = consequences(app), re.findall(r"lab-mark.*?left:([\d.]+)%", text)
    move(app, 0.3, model=best(place))
    assert expected(place, 0.3) in consequences(app)
    after = re.findall(r"lab-mark.*?left:([\d.]+)%", html(app))
    assert before[0] != consequences(app)
    assert before[1] != after
    assert app.query_params["moved"] == f"bundle.{best(place)}*0.3"
    move(app, 0.12345, model=best(place))
    assert expected(place, 0.12345) in consequences(app)
    app.button(key="ev_back").click().run()
    assert consequences(app) == before[0]
    assert "moved" not in app.query_params


@pytest.mark.slow
@pytest.mark.parametrize("level", ["patient", "vertebra"])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_best_model_of_a_level_is_active(place, level, swapped):
    if swapped:
        first, second = (place / "checkpoints" / name / "predictions" for name in NAMES[:2])
        first.rename(place / "other")
        second.rename(first)
        (place / "other").rename(second)
    app = open_evaluation(level=level)
    assert f">{best(place, level)} at " in consequences(app)
    assert app.selectbox(key="ev_focus").value == f"bundle.{best(place, level)}"
    other = next(name for name in NAMES[:2] if name != best(place, level))
    app.selectbox(key="ev_focus").set_value(f"bundle.{other}").run()
    assert f">{other} at " in consequences(app)


@pytest.mark.slow
def test_a_link_restores_level_rule_thresholds_and_filter(place):
    app = open_evaluation(
        level="vertebra", by_vertebra="1", rule="youden", vertebra="C2",
        focus=f"bundle.{NAMES[1]}", moved=f"bundle.{NAMES[1]}*0.1_0.2_0.3_0.4_0.5_0.6_0.7",
    )  # fmt: skip
    assert re.findall(r'"v:C\d:threshold">([\d.]+)<', html(app)) == [
        "0.100", "0.200", "0.300", "0.400", "0.500", "0.600", "0.700",
    ]  # fmt: skip
    assert app.button_group(key="ev_rule").value == "youden"
    assert NAMES[1] in consequences(app)
    assert "fractured vertebrae" in consequences(app)
    assert re.search(r"\d+ of 24 studies", html(app))


@pytest.mark.slow
def test_operating_points_are_used_as_they_are_set(place):
    app = open_evaluation(rule="bundle")
    said = next(c.value for c in app.caption if "as they are used" in c.value)
    assert "shipped" in said
    assert f"at {SHIPPED_POINT['threshold']:.3f}:" in consequences(app)
    move(app, 0.25, model=best(place))
    app.button(key="ev_save").click().run()
    app.button(key="ev_back").click().run()
    assert "at 0.250:" in consequences(app)
    app.run()
    assert "set by" in next(c.value for c in app.caption if "as they are used" in c.value)


@pytest.mark.slow
def test_kept_settings_are_compared_used_and_forgotten(place):
    app = open_evaluation(moved=f"bundle.{NAMES[0]}*0.3", focus=f"bundle.{NAMES[0]}")
    app.button(key="ev_keep").click().run()
    move(app, 0.6)
    app.text_input(key="ev_keep_name").set_value("strict, <b>1</b>").run()
    app.button(key="ev_keep").click().run()
    assert app.query_params["kept"] == (
        f"A*patient*bundle.{NAMES[0]}*0.3,strict b1b*patient*bundle.{NAMES[0]}*0.6"
    )
    folder = place / "checkpoints"
    scores = read_score_table(folder / NAMES[0] / "predictions" / "held_out.parquet").patient_scores
    truth = read_truth_table(folder / "cohorts" / "held_out.parquet").fractured.any(axis=1)
    recalls = [(scores[truth] >= at).mean() for at in (0.3, 0.6)]
    rows = re.findall(r"<tr><td>(A|strict b1b)</td>.*?</tr>", html(app))
    assert rows == ["A", "strict b1b"]
    row = re.search(r"<tr><td>strict b1b</td>.*?</tr>", html(app))[0]
    assert f"<b>{recalls[1]:.3f}</b><span>{recalls[1] - recalls[0]:+.3f} (" in row
    app.button(key="ev_use_A").click().run()
    assert "at 0.300:" in consequences(app)
    app.button(key="ev_save_strict b1b").click().run()
    assert "0.600 (set by hand" in app.success[0].value
    bundle = with_team_points(read_bundle(folder / NAMES[0]), place / "var")
    assert operating_point(bundle, "patient").threshold == 0.6
    app.button(key="ev_forget_A").click().run()
    assert app.query_params["kept"].startswith("strict b1b*")
    assert not app.exception


@pytest.mark.slow
def test_limits_that_no_threshold_keeps_name_the_nearest(place):
    app = open_evaluation(rule="limits", least_recall="0.5", least_precision="0.1")
    assert not any("keeps all limits" in caption.value for caption in app.caption)
    app.number_input(key="ev_least_recall").set_value(1.0).run()
    app.number_input(key="ev_least_precision").set_value(1.0).run()
    said = next(c.value for c in app.caption if "keeps all limits" in c.value)
    assert best(place).replace("_", r"\_") in said or best(place) in said
    assert "the nearest reaches sensitivity" in said
    assert (app.query_params["least_recall"], app.query_params["rule"]) == ("1.0", "limits")
    app.number_input(key="ev_most_alarms").set_value(2.0).run()
    assert "false alarms per 100 studies" in next(
        c.value for c in app.caption if "keeps all limits" in c.value
    )


@pytest.mark.slow
@pytest.mark.parametrize("level", ["slice", "presence"])
def test_slices_are_judged_by_masks_or_by_boxes(place, level):
    app = open_evaluation(level=level)
    assert consequences(app)
    if level == "slice":
        app.selectbox(key="ev_definition").set_value("boxed").run()
        assert not app.exception
        assert "A box names no vertebra" in html(app)
        assert app.query_params["definition"] == "boxed"


def team_file(place):
    """Where the team's points of the active model are kept."""
    return team_points_file(place / "var", read_bundle(place / "checkpoints" / best(place)).config)


@pytest.mark.slow
def test_the_operating_point_is_saved_over_the_shipped_one_and_taken_back(place):
    shipped = place / "checkpoints" / best(place) / "operating_points.json"
    before = shipped.read_bytes()
    file = team_file(place)
    assert file.is_relative_to(place / "var")
    app = open_evaluation()
    move(app, 0.25, model=best(place))
    app.button(key="ev_save").click().run()
    assert "0.250 (set by hand" in app.success[0].value
    saved = json.loads(file.read_text())
    assert saved["patient"]["threshold"] == 0.25
    assert saved["patient"]["data"] == "Held-out synthetic cohort, 24 studies"
    used = operating_point(with_team_points(read_bundle(shipped.parent), place / "var"), "patient")
    assert used.threshold == 0.25
    assert re.fullmatch(r"set by .+ on \d{4}-\d\d-\d\d", used.origin)
    app.button(key="ev_undo").click().run()
    assert "the shipped threshold" in app.success[0].value
    assert shipped.read_bytes() == before
    used = operating_point(with_team_points(read_bundle(shipped.parent), place / "var"), "patient")
    assert (used.threshold, used.origin) == (SHIPPED_POINT["threshold"], "shipped")


@pytest.mark.slow
def test_a_rule_is_saved_with_what_it_was_chosen_on(place):
    app = open_evaluation(rule="sensitivity", target="0.9")
    app.button(key="ev_save").click().run()
    saved = json.loads(team_file(place).read_text())
    entry = saved["patient"]
    assert (entry["rule"], entry["asked"]) == ("target sensitivity", 0.9)
    assert entry["data"] == "Training cohort, out of fold"


@pytest.mark.slow
def test_a_read_only_page_offers_nothing_that_changes_something(place, monkeypatch):
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    app = open_evaluation()
    keys = {button.key for button in app.button}
    assert not keys & {"ev_save", "ev_undo", "ev_import_add"}
    assert "Save this operating point" not in html(app)
    assert consequences(app)


@pytest.mark.slow
def test_an_imported_model_joins_and_says_what_it_lacks(place):
    truth = read_truth_table(place / "checkpoints" / "cohorts" / "held_out.parquet")
    rng = np.random.default_rng(0)
    rows = ["uid,Overall,C1,C2,C3,C4,C5,C6,C7"]
    for uid in truth.study_ids[:-1]:
        values = rng.random(8)
        rows.append(",".join([uid, *(f"{v:.4f}" for v in values)]))
    app = open_evaluation()
    app.file_uploader(key="ev_csv").set_value(("x.csv", "\n".join(rows).encode(), "text/csv"))
    app.text_input(key="ev_import_name").set_value("elsewhere").run()
    app.button(key="ev_import_add").click().run()
    assert "elsewhere was added" in app.success[0].value
    assert "elsewhere" in app.multiselect(key="ev_models").options
    assert "<span>elsewhere</span>" in html(app)
    notes = " ".join(m.value for m in app.markdown)
    assert "1 studies with truth have no score" in notes
    app.button_group(key="ev_level").set_value("slice").run()
    assert "elsewhere has no slice level" in " ".join(m.value for m in app.markdown)


@pytest.mark.slow
def test_the_name_of_a_model_is_shown_as_it_is(place):
    name = "**b** $x$ :red[r] [a](//b) <img src=x>"
    truth = read_truth_table(place / "checkpoints" / "cohorts" / "held_out.parquet")
    rows = ["uid,Overall,C1,C2,C3,C4,C5,C6,C7"]
    rows += [f"{uid},{k % 9 / 9},0,0,0,0,0,0,{k % 9 / 9}" for k, uid in enumerate(truth.study_ids)]
    app = open_evaluation()
    app.file_uploader(key="ev_csv").set_value(("x.csv", "\n".join(rows).encode(), "text/csv"))
    app.text_input(key="ev_import_name").set_value(name).run()
    app.button(key="ev_import_add").click().run()
    assert literal(name) in app.success[0].value
    source = next(s for s in find_sources(Settings()).models.values() if s.label == name)
    app.multiselect(key="ev_models").set_value([source.source_id]).run()
    app.button_group(key="ev_level").set_value("slice").run()
    app.button_group(key="ev_level").set_value("patient").run()
    drawn = [*app.markdown, *app.caption, *app.success, *app.button, *app.slider, *app.info]
    shown = [getattr(one, part, None) for one in drawn for part in ("label", "value")]
    naming = [text for text in shown if isinstance(text, str) and "//b" in text]
    assert naming
    for text in naming:
        assert literal(name) in text or escape(name) in text
    assert "<img src=x>" not in html(app)


def test_an_empty_place_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    app = open_evaluation()
    assert "No predictions to evaluate yet" in html(app)
    assert "core train CONFIG --fold all" in html(app)


def test_a_broken_table_is_one_sentence(place):
    (place / "checkpoints" / NAMES[0] / "predictions" / "held_out.parquet").write_bytes(b"no")
    app = open_evaluation()
    assert "cannot be read as Parquet" in app.error[0].value


WRONG = {
    "data": ["nowhere"], "models": ["bundle.none", f"bundle.{NAMES[0]},bundle.none"],
    "ensemble": ["median"], "weights": ["bundle.none*0.5", f"bundle.{NAMES[0]}*2.0"],
    "level": ["body"], "definition": ["x"], "pooling": ["sum"], "vertebra": ["C0"],
    "fold": ["x", "-1"], "spacing": ["2..1", "1"], "without": ["flag_none"], "rule": ["best"],
    "least_recall": ["1.2", "x"], "least_precision": ["-1"], "most_alarms": ["0"],
    "target": ["0", "x"], "same_data": ["0"], "by_vertebra": ["yes"],
    "focus": ["bundle.none", "ensemble"],
    "moved": ["bundle.none*0.5", f"bundle.{NAMES[0]}*1.5", f"bundle.{NAMES[0]}*0.1_0.2"],
    "kept": [
        "A", "A*patient*bundle.none*0.5", "A*body*m*0.5", "A*patient*m*2",
        "A*patient*m*0.5,A*patient*m*0.6",
    ],
    "prevalence": ["0", "1.5"], "errors": ["some"], "subgroups": ["A B"], "measure": ["f1"],
    "group": ["kernel", "kernel*", "a*x,a*y", "a*x,b*x,c*x"],
}  # fmt: skip


def test_every_parameter_of_a_link_is_tried():
    assert set(WRONG) == set(VIEW_FIELDS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [(n, text) for n in WRONG for text in WRONG[n]])
def test_a_wrong_value_in_a_link_is_named_and_nothing_opens(place, name, value):
    expect_refused(open_evaluation(**{name: value}), name, value)

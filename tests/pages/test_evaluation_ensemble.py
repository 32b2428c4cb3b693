"""The ensemble of the Evaluation page: one more model, judged, saved as a bundle, and linked."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.evaluation.ensemble_weights import fit_weights
from core.evaluation.ensembles import ensemble_table
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.experiments.cohorts import FOLDS, HELD_OUT
from core.models.bundles import read_bundle
from core.models.ensembles import read_members
from tests.dashboard.made_predictions import NAMES, write_predictions_place
from tests.pages.driver import html, open_page

A, B = NAMES[:2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two fracture bundles with predictions on two cohorts, and a vertebra bundle."""
    checkpoints = tmp_path / "checkpoints"
    write_predictions_place(checkpoints, studies=24, slices=2_200, models=2)
    config = json.loads((checkpoints / A / "config.json").read_text())
    vertebra = checkpoints / "vertebra_made"
    vertebra.mkdir()
    (vertebra / "model.safetensors").write_bytes(b"")
    named = {"name": "vertebra_made", "task": "vertebra", "type": 1}
    (vertebra / "config.json").write_text(json.dumps(config | named))
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "var" / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(checkpoints))
    return tmp_path


def scores_of(place, cohort):
    folder = place / "checkpoints"
    tables = [read_score_table(cohort.predictions_file(folder / name), name) for name in (A, B)]
    return align(tables, read_truth_table(cohort.truth_file(folder)))


def auc_shown(app, model):
    """AUC of a model in the headline table."""
    table = next(t for t in re.findall(r"<table.*?</table>", html(app)) if "ROC AUC" in t)
    row = next(r for r in re.findall(r"<tr>.*?</tr>", table) if f"<span>{model}</span>" in r)
    return float(re.search(r"<b>([\d.]+)</b>", row)[1])


@pytest.mark.slow
def test_weight_one_on_one_model_is_that_model(place):
    app = open_page("evaluation", ensemble="log_odds", weights=f"bundle.{A}*1.0,bundle.{B}*0.0")
    assert not app.exception
    assert auc_shown(app, "Ensemble") == auc_shown(app, A) != auc_shown(app, B)
    assert "<b>+0.000</b><span>+0.000 to +0.000, p 1.000</span>" in html(app)
    app.slider(key=f"ev_weight_bundle.{A}").set_value(0.0).run()
    app.slider(key=f"ev_weight_bundle.{B}").set_value(0.5).run()
    assert app.query_params["weights"] == f"bundle.{A}*0.0,bundle.{B}*0.5"
    assert auc_shown(app, "Ensemble") == auc_shown(app, B)
    app.slider(key=f"ev_weight_bundle.{B}").set_value(0.0).run()
    assert any("not all 0" in error.value for error in app.error)
    assert not app.exception


@pytest.mark.slow
def test_fitted_weights_are_judged_on_studies_they_were_not_fitted_on(place):
    app = open_page("evaluation", ensemble="stacking")
    found = fit_weights(scores_of(place, FOLDS), "stacking")
    judged = scores_of(place, HELD_OUT)
    table = ensemble_table("e", judged.models, found)
    wanted = roc_auc_score(judged.truth.fractured.any(axis=1), table.patient_scores)
    assert auc_shown(app, "Ensemble") == pytest.approx(wanted, abs=6e-4)
    captions = " ".join(caption.value for caption in app.caption)
    assert "24 studies that its weights were not fitted on" in captions
    assert "fitted on 44 studies of “Training cohort, out of fold”" in captions
    assert re.findall(r"<b>(\d\.\d\d)</b><span>[\d.–]+ over the folds", html(app)) == [
        f"{weight:.2f}" for weight in found.weights
    ]
    # On the studies shown alone, each is scored out of fold.
    app = open_page("evaluation", ensemble="stacking", same_data="1")
    assert "Judged out of fold on 24 studies" in " ".join(c.value for c in app.caption)


@pytest.mark.slow
def test_an_ensemble_is_saved_listed_and_is_an_active_model(place):
    app = open_page("evaluation", ensemble="rank", focus="ensemble")
    assert app.selectbox(key="ev_focus").value == "ensemble"
    app.text_input(key="ev_ensemble_name").set_value("both").run()
    app.button(key="ev_save_ensemble").click().run()
    assert not app.exception
    assert any("Saved as" in message.value for message in app.success)
    saved = read_bundle(place / "var" / "ensembles" / "both")
    assert [one.config.name for one in read_members(saved)] == [A, B]
    assert saved.config.vertebra_bundle == "vertebra_made"
    stored = read_score_table(HELD_OUT.predictions_file(saved.folder))
    truth = scores_of(place, HELD_OUT).truth.fractured.any(axis=1)
    assert auc_shown(app, "Ensemble") == pytest.approx(
        roc_auc_score(truth, stored.patient_scores), abs=2e-3
    )
    models = app.multiselect(key="ev_models")
    assert "both" in models.options
    assert "saved.both" not in models.value
    app.text_input(key="ev_ensemble_name").set_value("both").run()
    app.button(key="ev_save_ensemble").click().run()
    assert any("exists" in error.value for error in app.error)
    app.button_group(key="ev_ensemble").set_value("").run()
    assert not {"ensemble", "focus"} & set(app.query_params)
    assert "<span>Ensemble</span>" not in html(app)


@pytest.mark.slow
def test_a_read_only_dashboard_saves_no_ensemble(place, monkeypatch):
    monkeypatch.setenv("DASHBOARD_READONLY", "1")
    app = open_page("evaluation", ensemble="log_odds")
    assert "<span>Ensemble</span>" in html(app)
    assert "ev_save_ensemble" not in {button.key for button in app.button}


@pytest.mark.slow
def test_the_section_is_folded_and_says_why_models_cannot_be_combined(place):
    app = open_page("evaluation")
    assert "ev_ensemble" not in {group.key for group in app.button_group}
    app = open_page("evaluation", ensemble="log_odds", models=f"bundle.{A}")
    assert not app.exception
    assert "two models or more" in " ".join(m.value for m in app.markdown)
    app = open_page("evaluation", ensemble="log_odds", level="vertebra")
    assert np.isfinite(auc_shown(app, "Ensemble"))

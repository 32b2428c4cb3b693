"""Errors of Evaluation are gone through on Diagnosis, by scores that are stored already."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from core.dicom.series import read_series
from core.experiments.cohorts import HELD_OUT
from core.inference.outputs import write_slices
from core.phantom.cohort import cohort_uids
from core.types import SlicePredictions
from dashboard.studies import predictions, synthetic_studies
from dashboard.widgets import study_picker
from tests.dashboard.made_predictions import NAMES, write_predictions_place
from tests.pages.driver import html, open_page, slider, wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory, workplace):
    """A bundle that finds no fracture, with its scores of a cohort of two made studies."""
    root = tmp_path_factory.mktemp("worklist")
    shutil.copytree(workplace.var / "demo", root / "var" / "demo")
    checkpoints = root / "checkpoints"
    write_predictions_place(checkpoints, studies=2, slices=200, models=2, training=False)
    for name in NAMES[:2]:
        seeds = {"held_out": {"seed": 5, "studies": 2}}
        (checkpoints / name / "metrics.json").write_text(json.dumps({"cohort": seeds}))
    config = checkpoints / NAMES[1] / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"task": "vertebra", "type": 1}))
    return root


@pytest.fixture
def missed(place, monkeypatch):
    """Study ids of the cohort, all called fractured by nobody but fractured in truth."""
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(place / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(place / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(place / "checkpoints"))
    uids = sorted(cohort_uids(studies=2, seed=5))
    truth = HELD_OUT.truth_file(place / "checkpoints")
    rows = pd.read_parquet(truth)
    rows["study_id"] = uids
    rows["y_C3"] = 1
    rows["patient_overall"] = 1
    rows.to_parquet(truth)
    HELD_OUT.slice_truth_file(place / "checkpoints").unlink(missing_ok=True)
    found = []
    for k, uid in enumerate(uids):
        folder = synthetic_studies.study_record(uid).folder
        z_mm = read_series(folder).z_mm
        presence = np.full((len(z_mm), 7), 0.9, np.float32)
        fracture = np.full((len(z_mm), 7), 0.01 * (k + 1), np.float32)
        found.append(SlicePredictions(uid, z_mm, presence, fracture, 1, (), (NAMES[1], NAMES[0])))
    for name in NAMES[:2]:
        write_slices(HELD_OUT.predictions_file(place / "checkpoints" / name), found)
    return uids


def caption(app):
    return " ".join(one.value for one in app.caption)


@pytest.mark.slow
def test_an_error_opens_with_its_networks_and_next_leads_on(missed, monkeypatch):
    monkeypatch.setattr(predictions, "_predict", None)
    # The list names another study than the one that the page would open by itself.
    monkeypatch.setattr(study_picker, "telling_study", lambda records, **_: 1)
    app = open_page("evaluation", focus=f"bundle.{NAMES[0]}", moved=f"bundle.{NAMES[0]}*0.9")
    assert not app.exception
    assert html(app).count('class="lab-picture"') == 2
    # The lower score is the more confident miss.
    button = next(b for b in app.button if b.key and b.key.startswith(f"ev_open_{missed[0]}"))
    button.click().run()
    assert not app.exception
    app.switch_page("../pages/diagnosis.py").run()
    wait_for(app, lambda: "lab-verdict" in html(app))
    assert app.selectbox(key="study").value == missed[0]
    assert app.selectbox(key="fracture_bundle").value == NAMES[0]
    assert slider(app, "patient_threshold")["values"] == [0.9]
    assert "1 of 2" in caption(app)
    assert "not trained on this study" in caption(app)
    assert app.button(key="step_Previous").disabled
    app.button(key="step_Next").click().run()
    assert app.selectbox(key="study").value == missed[1]
    assert "2 of 2" in caption(app)
    assert app.button(key="step_Next").disabled


@pytest.mark.slow
def test_the_largest_disagreement_of_two_models_opens_on_diagnosis(missed, place, monkeypatch):
    monkeypatch.setattr(predictions, "_predict", None)
    monkeypatch.setattr(study_picker, "telling_study", lambda records, **_: 0)
    a, b = (f"bundle.{name}" for name in NAMES[:2])
    # The vertebra bundle's table puts both studies level; the other one ranks the second higher.
    table = HELD_OUT.predictions_file(place / "checkpoints" / NAMES[1])
    rows = pd.read_parquet(table)
    rows[[f"f_C{j}" for j in range(1, 8)]] = 0.5
    rows.to_parquet(table)
    app = open_page(
        "evaluation", models=f"{a},{b}", ensemble="log_odds", weights=f"{a}*1.0,{b}*1.0"
    )
    assert not app.exception
    app.selectbox(key="ev_up").set_value("Ensemble").run()
    app.selectbox(key="ev_up").set_value(NAMES[1]).run()
    app.button(key="ev_open_disagreement").click().run()
    assert not app.exception
    app.switch_page("../pages/diagnosis.py").run()
    wait_for(app, lambda: "lab-verdict" in html(app))
    assert app.selectbox(key="study").value in missed
    assert app.selectbox(key="fracture_bundle").value == NAMES[0]
    assert "1 of 2" in caption(app)

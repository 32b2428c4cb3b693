"""Scores that bundles ship for their cohorts are shown instead of running the networks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.dicom.series import read_series
from core.experiments.cohorts import FOLDS, HELD_OUT
from core.inference.outputs import write_slices
from core.models.pairs import BundlePair
from core.phantom.cohort import cohort_uids
from core.types import SlicePredictions
from dashboard.studies import cohort, predictions, synthetic_studies
from dashboard.studies.open_study import open_study
from dashboard.studies.shipped import shipped_scores
from tests.dashboard.made_predictions import NAMES, write_predictions_place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("shipped")
    write_predictions_place(root / "checkpoints", studies=4, slices=400, models=2)
    seeds = {"held_out": {"seed": 5, "studies": 2}, "folds": {"seed": 6, "studies": 2}}
    (root / "checkpoints" / NAMES[0] / "metrics.json").write_text(json.dumps({"cohort": seeds}))
    return root


@pytest.fixture
def made(place, monkeypatch):
    """Opens a study of a cohort by its number, and writes scores of it that a bundle ships."""
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(place / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(place / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(place / "checkpoints"))

    def make(shipped, seed, names, fold=None):
        uid = cohort_uids(studies=2, seed=seed)[0]
        study = open_study(synthetic_studies.study_record(uid).folder)
        n = study.volume.n_slices
        probs = np.linspace(0, 1, 7 * n, dtype=np.float32).reshape(n, 7)
        scores = SlicePredictions(uid, study.volume.z_mm, probs, probs[::-1], 2, (), names)
        table = shipped.predictions_file(place / "checkpoints" / NAMES[0])
        write_slices(table, [scores], folds=None if fold is None else {uid: fold})
        return study, probs

    return make


def bundle_pair() -> BundlePair:
    first, second = cohort.bundles("fracture")
    return BundlePair(second, first)


@pytest.mark.slow
def test_shipped_scores_are_found_for_their_networks_alone(made, monkeypatch):
    pair = bundle_pair()
    study, probs = made(HELD_OUT, 5, (NAMES[1], NAMES[0]))
    monkeypatch.setattr(predictions, "_predict", None)
    found = predictions.find_scores(study, pair)
    assert found.predictions.vertebra_probs == pytest.approx(probs, abs=1e-4)
    assert "not trained on this study" in shipped_scores(study.volume, pair).origin
    assert predictions.find_scores(study, BundlePair(pair.fracture, pair.fracture)) is None
    made(HELD_OUT, 5, (NAMES[1], "another"))
    assert predictions.find_scores(study, pair) is None


@pytest.mark.slow
def test_scores_out_of_fold_name_their_fold(made):
    study, _ = made(FOLDS, 6, (NAMES[1], NAMES[0]), fold=3)
    assert "out of fold 3" in shipped_scores(study.volume, bundle_pair()).origin


def test_the_same_files_elsewhere_are_a_study_of_their_own(made, tmp_path):
    study, _ = made(HELD_OUT, 5, (NAMES[1], NAMES[0]))
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in study.volume.source_files:
        (folder / file.name).write_bytes(file.read_bytes())
    assert predictions.find_scores(open_study(folder), bundle_pair()) is None


def test_a_study_made_on_demand_has_truth_boxes_and_mask(made):
    study, _ = made(HELD_OUT, 5, ())
    record = synthetic_studies.study_record(study.volume.study_uid)
    again = read_series(record.folder)
    assert record.fractured is not None
    assert bool(record.boxes) == any(record.fractured)
    assert record.mask_file.is_file()
    assert {number for number, _ in record.boxes} <= set(again.instance_numbers)

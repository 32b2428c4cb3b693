"""Every study is predicted once, by the network that was not trained on its patient."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pandas as pd
import pytest

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.dicom.series import read_series
from core.errors import ConfigError, TrainingError
from core.experiments.cross_validation import cross_validate
from core.inference.predictor import Predictor
from core.models.bundles import read_bundle
from core.models.pairs import default_bundle
from core.training.fold_figures import read_fold_figures
from core.training.run_list import list_runs
from core.training.runs import RunFolder
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    return write_data_root(tmp_path_factory.mktemp("cv") / "root", studies=6, slices=7)


def config(data_root, **changes):
    values = {
        "task": "fracture", "data_root": data_root, "size": 32, "epochs": 1, "batch_size": 8,
        "folds": 2, "device": "cpu", "fold": "all",
    }  # fmt: skip
    return RunConfig(**(values | changes))


@pytest.fixture
def places(untrained_bundles, tmp_path):
    return {"store": made_store(tmp_path / "cache"), "checkpoints": untrained_bundles}


@pytest.fixture
def done(data_root, places, tmp_path):
    run = tmp_path / "runs" / "cv"
    found = cross_validate(config(data_root), run, **places, replicates=20)
    return run, found


def test_out_of_fold_predictions_are_those_of_the_fold_that_held_the_study_out(
    done, data_root, untrained_bundles
):
    run, found = done
    folds = assign_folds(read_studies(data_root), 2, 0)
    table = pd.read_parquet(run / "predictions" / "slices.parquet")
    assert dict(table.groupby("study_id")["fold"].first()) == folds
    assert found.studies == 6
    study = next(iter(folds))
    bundle = read_bundle(run / f"fold-{folds[study]}" / "bundle")
    expected = Predictor(
        default_bundle(untrained_bundles, "vertebra"), bundle, device="cpu"
    ).predict(read_series(data_root / "train_images" / study))
    rows = table[table["study_id"] == study].sort_values("slice_index")
    np.testing.assert_allclose(rows["f_C1"], expected.fracture_probs[:, 0], atol=1e-6)


def test_the_summary_is_mean_and_sd_over_folds_beside_the_pooled_interval(done):
    run, found = done
    written = json.loads((run / "cross_validation.json").read_text())
    auc = written["folds"]["patient"]["accuracy"]
    assert auc["mean"] == pytest.approx(statistics.fmean(auc["values"]))
    assert auc["sd"] == pytest.approx(statistics.stdev(auc["values"]))
    assert written["pooled"]["n"]["patients"] == 6
    assert found.pooled.patient.intervals["accuracy"] is not None
    read = {figure.level: figure for figure in read_fold_figures(run, "accuracy")}
    assert list(read) == ["presence", "slice", "vertebra", "patient"]
    assert read["patient"].mean == auc["mean"]
    assert read["patient"].pooled == written["pooled"]["patient"]["accuracy"]
    assert read["patient"].interval == tuple(written["pooled"]["patient"]["intervals"]["accuracy"])


def test_the_run_and_its_folds_are_listed_and_a_finished_fold_is_not_trained_again(
    done, data_root, places, tmp_path
):
    run, found = done
    listed = {item.run_id: item.state for item in list_runs(run.parent)}
    assert listed == {"cv": "finished", "cv/fold-0": "finished", "cv/fold-1": "finished"}
    before = (run / "fold-0" / "bundle" / "model.safetensors").stat().st_mtime_ns
    again = cross_validate(config(data_root), run, resume=True, **places, replicates=20)
    assert (run / "fold-0" / "bundle" / "model.safetensors").stat().st_mtime_ns == before
    assert again.to_json() == found.to_json()


def test_a_fold_that_another_process_trains_is_an_error(data_root, places, tmp_path, monkeypatch):
    run = tmp_path / "cv"
    RunFolder(run / "fold-0").start(config(data_root, fold=0), resume=False)
    with pytest.raises(TrainingError, match="being trained by another process"):
        cross_validate(config(data_root), run, **places)


def test_a_localiser_is_not_pooled_over_folds(data_root, places, tmp_path):
    with pytest.raises(ConfigError, match="one fold at a time"):
        cross_validate(config(data_root, task="localization"), tmp_path / "run", **places)
    assert not (tmp_path / "run").exists()

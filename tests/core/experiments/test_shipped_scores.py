import json

import numpy as np
import pandas as pd
import pytest

from core.config import RunConfig
from core.dataset.rsna import read_studies
from core.dataset.splits import assign_folds
from core.dicom.series import read_series
from core.evaluation.report import evaluate_predictions
from core.evaluation.tables.truth import truth_from_data_root
from core.experiments.shipped_scores import score_bundles
from core.inference.outputs import read_slices
from core.inference.predictor import Predictor
from core.models.bundles import list_bundles, read_bundle
from core.training.trainer import train
from tests.core.training.made_data_root import write_data_root
from tests.stores import made_store

pytestmark = pytest.mark.training

KINDS = {
    "vertebra_type1": ("vertebra", 1),
    "fracture_type1": ("fracture", 1),
    "fracture_type2": ("fracture", 2),
    "fracture_type3": ("fracture", 3),
}
FOLDS = 2


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Every kind of network, trained briefly on each of two folds, scored and installed."""
    base = tmp_path_factory.mktemp("demo")
    root = write_data_root(base / "folds", studies=8, slices=7)
    held_out = write_data_root(base / "held_out", studies=6, slices=7, seed=1)
    configs, trained = {}, {}
    for name, (task, kind) in KINDS.items():
        configs[name] = RunConfig(
            task=task, type=kind, backbone="mobilenet_v3_large", data_root=root, size=32,
            folds=FOLDS, seed=3, epochs=1, batch_size=8, slices_per_study=4, device="cpu",
        )  # fmt: skip
        trained[name] = {
            fold: read_bundle(
                train(
                    configs[name].model_copy(update={"fold": fold}),
                    base / "runs" / name / str(fold), store=made_store(base / "cache"),
                )
            )
            for fold in range(FOLDS)
        }  # fmt: skip
    checkpoints = base / "checkpoints"
    score_bundles(trained, configs, base, checkpoints)
    return base, root, held_out, checkpoints, trained


def test_ships_every_bundle_with_predictions_of_both_cohorts(scored):
    _, root, held_out, checkpoints, _ = scored
    bundles = {bundle.folder.name: bundle for bundle in list_bundles(checkpoints)}
    assert set(bundles) == set(KINDS)
    for name, bundle in bundles.items():
        assert bundle.config.name == name
        assert (bundle.config.context is not None) == (bundle.config.task == "fracture")
        for file, source in (("out_of_fold", root), ("held_out", held_out)):
            table = pd.read_parquet(bundle.folder / "predictions" / f"{file}.parquet")
            assert set(table["study_id"]) == {study.study_id for study in read_studies(source)}
            assert table["fold"].notna().to_numpy().all() == (file == "out_of_fold")
        assert bundle.metrics["held_out"]["n"]["patients"] == 6
        assert bundle.metrics["out_of_fold"]["n"]["patients"] == 8
        assert "out-of-fold" in bundle.operating_points["chosen_on"]


def test_each_study_is_predicted_by_the_network_that_has_not_seen_it(scored):
    _, root, _, checkpoints, trained = scored
    folds = assign_folds(read_studies(root), FOLDS, 3)
    table = pd.read_parquet(checkpoints / "fracture_type3" / "predictions" / "out_of_fold.parquet")
    by_study = table.groupby("study_id")["fold"].first()
    assert by_study.to_dict() == folds
    record = next(r for r in read_studies(root) if folds[r.study_id] == 1)
    volume = read_series(record.folder)
    own = trained["fracture_type3"][1]
    expected = Predictor(own, own, device="cpu").predict(volume)
    rows = table[table["study_id"] == record.study_id]
    np.testing.assert_allclose(
        rows[[f"v_C{j}" for j in range(1, 8)]], expected.vertebra_probs, atol=2e-4
    )


def test_an_installed_bundle_predicts_what_its_held_out_file_holds(scored):
    _, _, held_out, checkpoints, _ = scored
    record = read_studies(held_out)[1]
    volume = read_series(record.folder)
    for name, vertebra in (
        ("fracture_type1", "vertebra_type1"), ("fracture_type2", "vertebra_type1"),
        ("fracture_type3", "fracture_type3"),
    ):  # fmt: skip
        pair = read_bundle(checkpoints / vertebra), read_bundle(checkpoints / name)
        made = Predictor(*pair, device="cpu").predict(volume)
        table = pd.read_parquet(checkpoints / name / "predictions" / "held_out.parquet")
        rows = table[table["study_id"] == record.study_id]
        np.testing.assert_allclose(
            rows[[f"f_C{j}" for j in range(1, 8)]], made.fracture_probs, atol=2e-3
        )


def test_metrics_are_those_of_the_files(scored):
    _, _, held_out, checkpoints, _ = scored
    source = checkpoints / "fracture_type2" / "predictions" / "held_out.parquet"
    report = evaluate_predictions(read_slices(source), truth_from_data_root(held_out))
    metrics = json.loads((checkpoints / "fracture_type2" / "metrics.json").read_text())
    assert report.patient.metrics.auc == pytest.approx(metrics["held_out"]["patient"]["auc"])
    assert report.slice.metrics.auc == pytest.approx(metrics["held_out"]["slice"]["auc"])


def test_truth_of_both_cohorts_is_next_to_the_bundles(scored):
    _, root, _, checkpoints, _ = scored
    truth = pd.read_parquet(checkpoints / "cohorts" / "training.parquet")
    slices = pd.read_parquet(checkpoints / "cohorts" / "training_slices.parquet")
    records = read_studies(root)
    assert truth["study_id"].tolist() == [record.study_id for record in records]
    expected = [record.fractured for record in records]
    np.testing.assert_array_equal(truth[[f"y_C{j}" for j in range(1, 8)]], expected)
    assert len(slices) == 7 * len(records)
    assert slices[[f"present_C{j}" for j in range(1, 8)]].sum(axis=1).eq(1).all()
    assert not slices["boxed"].to_numpy().any()

"""Training, prediction and evaluation from the command line; bad input ends in one sentence."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from core.constants import VERTEBRAE
from core.inference.outputs import write_predictions
from tests.core.cli.outcome import assert_one_sentence
from tests.core.evaluation.made_cohort import predictions as cohort_predictions
from tests.core.evaluation.made_cohort import truths as cohort_truths


@pytest.mark.slow
def test_phantom_then_predict_then_evaluate_runs_through(run, phantom_root, tmp_path):
    status, _, errors = run("predict", phantom_root, "--out", tmp_path / "out")
    assert status == 0, errors
    slices = pd.read_parquet(tmp_path / "out" / "slices.parquet")
    files = len(list((phantom_root / "train_images").rglob("*.dcm")))
    assert len(slices) == files
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(summary) == 3
    status, out, _ = run(
        "evaluate", tmp_path / "out", "--truth", phantom_root, "--json", "--replicates", 50
    )
    report = json.loads(out)
    assert status == 0
    assert report["n"] == {"patients": 3, "vertebrae": 21, "slices": files}
    assert set(report) >= {"slice", "vertebra", "patient", "per_vertebra", "competition", "n"}
    assert set(report["per_vertebra"]) == set(VERTEBRAE)


@pytest.mark.slow
def test_evaluate_without_json_prints_a_table(run, phantom_root, tmp_path):
    run("predict", phantom_root, "--out", tmp_path)
    status, out, _ = run("evaluate", tmp_path, "--truth", phantom_root, "--replicates", 20)
    assert status == 0
    assert "patient" in out.lower()
    assert re.search(r"0\.\d\d", out)


def test_predict_on_one_study_writes_one_object(run, phantom_root, tmp_path):
    study = next((phantom_root / "train_images").iterdir())
    status, _, _ = run("predict", study, "--out", tmp_path)
    found = json.loads((tmp_path / "predictions.json").read_text())
    assert status == 0
    assert found["study_id"] == study.name
    assert found["n_slices"] == len(list(study.iterdir()))
    assert set(found["vertebrae"]) == set(VERTEBRAE)
    assert len(found["bundles"]) == 2
    product = np.prod([1 - p for p in found["vertebrae"].values()])
    assert found["patient"] == pytest.approx(1 - product, abs=1e-9)
    header = (tmp_path / "boxes.csv").read_text().strip()
    assert header == "StudyInstanceUID,x,y,width,height,slice_number,score"


def test_predict_on_the_real_scanner_series_gives_a_row_a_slice(run, real_ct, tmp_path):
    status, _, errors = run("predict", real_ct, "--out", tmp_path)
    assert status == 0, errors
    slices = pd.read_parquet(tmp_path / "slices.parquet")
    assert len(slices) == 65
    assert slices.z_mm.is_monotonic_decreasing
    probabilities = slices.filter(regex="^[vf]_C").to_numpy()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_a_study_that_cannot_be_read_is_left_out_and_named(run, phantom_root, tmp_path):
    good = sorted((phantom_root / "train_images").iterdir())[0]
    (tmp_path / "in" / "broken").mkdir(parents=True)
    (tmp_path / "in" / "broken" / "1.dcm").write_bytes(b"not an image")
    (tmp_path / "in" / good.name).symlink_to(good)
    status, out, _ = run("predict", tmp_path / "in", "--out", tmp_path / "out")
    assert status == 0
    assert "Left out" in out
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 1


@pytest.mark.slow
def test_train_from_a_config_leaves_a_bundle(run, phantom_root, tmp_path):
    config = {
        "task": "fracture", "type": 1, "backbone": "mobilenet_v3_large", "size": 32,
        "data_root": str(phantom_root), "batch_size": 8, "slices_per_study": 8, "fold": None,
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    status, out, errors = run("train", tmp_path / "run.yaml", "--run-dir", tmp_path / "run")
    assert status == 0, errors
    assert "Bundle in" in out
    assert (tmp_path / "run" / "bundle" / "model.safetensors").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "{tmp}/nowhere", "--out", "{tmp}/out"),
        ("predict", "{tmp}/empty", "--out", "{tmp}/out"),
        ("predict", "{tmp}/text", "--out", "{tmp}/out"),
        ("predict", "{tmp}/text", "--out", "{tmp}/out", "--bundle", "{tmp}/empty"),
        ("evaluate", "{tmp}/empty", "--truth", "{tmp}/empty"),
        ("train", "{tmp}/missing.yaml"),
        ("train", "{tmp}/unknown_key.yaml", "--resume"),
        ("train", "{tmp}/unknown_key.yaml"),
        ("train", "{tmp}/not_yaml.yaml"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(run, tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("hello")
    (tmp_path / "unknown_key.yaml").write_text("task: fracture\ndata_root: x\ncolour: red\n")
    (tmp_path / "not_yaml.yaml").write_text("task: [")
    assert_one_sentence(run(*(a.format(tmp=tmp_path) for a in arguments)))


def test_a_device_that_is_not_there_is_one_sentence(run, phantom_root, tmp_path):
    study = next((phantom_root / "train_images").iterdir())
    assert_one_sentence(run("predict", study, "--out", tmp_path, "--device", "abacus"))


@pytest.mark.slow
def test_demo_makes_the_cohort_once(run, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    monkeypatch.setattr("core.phantom.demo_cohort.DEMO_STUDIES", 1)
    assert run("demo", "--jobs", 1)[0] == 0
    made = sorted((tmp_path / "demo" / "train_images").iterdir())
    stamp = made[0].stat().st_mtime_ns
    assert run("demo", "--jobs", 1)[0] == 0
    assert len(made) == 1
    assert made[0].stat().st_mtime_ns == stamp


def test_demo_with_a_wrong_rsna_root_names_the_remedy(run, monkeypatch, tmp_path):
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    outcome = run("demo")
    assert_one_sentence(outcome)
    assert "RSNA_ROOT" in outcome[2]


def test_evaluate_reads_a_model_from_elsewhere_and_reports_studies_of_one_side(
    run, phantom_root, tmp_path
):
    labels = pd.read_csv(phantom_root / "train.csv")
    scores = labels.rename(columns={"StudyInstanceUID": "uid", "patient_overall": "Overall"})
    scores[["Overall", *VERTEBRAE]] = 0.1 + 0.8 * scores[["Overall", *VERTEBRAE]]
    scores.loc[0, "uid"] = "1.2.3"
    scores.to_csv(tmp_path / "m.csv", index=False)
    status, out, errors = run(
        "evaluate", tmp_path / "m.csv", "--truth", phantom_root, "--json", "--replicates", 20
    )
    report = json.loads(out)

    assert status == 0, errors
    assert report["n"] == {"patients": 2, "vertebrae": 14, "slices": 0}
    assert report["slice"] is None
    assert "not for slices" in report["reasons"]["slice"]
    assert report["vertebra"]["auc"] in (1.0, None)
    assert any("1 scored studies have no truth" in note for note in report["notes"])
    assert any("1 studies with truth have no score" in note for note in report["notes"])
    assert any("taken as given" in note for note in report["notes"])


def test_evaluate_chooses_thresholds_on_other_studies(run, tmp_path):
    made, known = cohort_predictions(12), cohort_truths(12)
    sides = {"oof": slice(0, 7), "held_out": slice(7, 12)}
    for name, part in sides.items():
        seconds = [0.0] * len(made[part])
        write_predictions(tmp_path / name, made[part], seconds=seconds, single=False)
        rows = pd.DataFrame([t.fractured for t in known[part]], columns=list(VERTEBRAE))
        rows.insert(0, "StudyInstanceUID", [t.study_id for t in known[part]])
        rows.astype({v: int for v in VERTEBRAE}).to_csv(tmp_path / f"{name}.csv", index=False)
    status, out, errors = run(
        "evaluate", tmp_path / "held_out", "--truth", tmp_path / "held_out.csv", "--json",
        "--chosen-on", tmp_path / "oof", "--chosen-on-truth", tmp_path / "oof.csv",
        "--rule", "target sensitivity", "--asked", 0.9, "--replicates", 20,
    )  # fmt: skip
    report = json.loads(out)

    assert status == 0, errors
    for level in ("vertebra", "patient"):
        assert report[level]["threshold_rule"] == "target sensitivity"
        assert report[level]["threshold_asked"] == 0.9
        assert report[level]["chosen_on"]["recall"] >= 0.9
        assert report[level]["chosen_on"] != report[level]["confusion"]
    assert any("another set" in note for note in report["notes"])
    assert not any("optimistic" in note for note in report["notes"])


def test_evaluate_uses_the_operating_points_of_a_bundle(run, repo_root, tmp_path):
    made, known = cohort_predictions(6), cohort_truths(6)
    write_predictions(tmp_path, made, seconds=[0.0] * 6, single=False)
    rows = pd.DataFrame([t.fractured for t in known], columns=list(VERTEBRAE))
    rows.insert(0, "StudyInstanceUID", [t.study_id for t in known])
    rows.astype({v: int for v in VERTEBRAE}).to_csv(tmp_path / "train.csv", index=False)
    bundle = repo_root / "checkpoints" / "fracture_type2"
    shipped = json.loads((bundle / "operating_points.json").read_text())
    options = ("--truth", tmp_path / "train.csv", "--points", bundle, "--replicates", 5)
    status, out, errors = run("evaluate", tmp_path, *options, "--json")
    assert status == 0, errors
    for level in ("vertebra", "patient"):
        assert json.loads(out)[level]["threshold"] == shipped[level]["threshold"]
    _, text, _ = run("evaluate", tmp_path, *options)
    assert text.splitlines()[1] == "thresholds: the operating points of fracture_type2"
    assert_one_sentence(run("evaluate", tmp_path, *options[:2], "--points", tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rule", "luck"), "not a rule"),
        (("--rule", "target sensitivity"), "needs a share"),
        (("--pooling", "median"), "not a pooling"),
    ],
)
def test_evaluate_names_an_option_that_it_does_not_know(run, tmp_path, options, message):
    made, known = cohort_predictions(6), cohort_truths(6)
    write_predictions(tmp_path, made, seconds=[0.0] * 6, single=False)
    rows = pd.DataFrame([t.fractured for t in known], columns=list(VERTEBRAE))
    rows.insert(0, "StudyInstanceUID", [t.study_id for t in known])
    rows.astype({v: int for v in VERTEBRAE}).to_csv(tmp_path / "train.csv", index=False)
    outcome = run("evaluate", tmp_path, "--truth", tmp_path / "train.csv", *options)

    assert message in outcome[2]
    assert_one_sentence(outcome)


@pytest.mark.slow
def test_real_check_prints_the_calls_or_json(run, phantom_root):
    study = next((phantom_root / "train_images").iterdir())
    status, out, _ = run("real-check", study)
    assert status == 0
    assert f"{study.name}: " in out
    assert "no distribution reference" in out
    status, out, _ = run("real-check", study, "--json")
    (found,) = json.loads(out)
    assert status == 0
    assert found["networks"][0]["call"] in (
        "fractured", "not fractured", "uncertain", "out of distribution",
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_real_check_refuses_a_folder_without_a_scan(run, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert_one_sentence(run("real-check", tmp_path / folder))

"""`core ensemble` combines tables or bundles, compares, saves; bad input is one sentence."""

import json
from pathlib import Path

import pytest

from core.inference.outputs import write_predictions
from tests.core.cli.outcome import assert_one_sentence
from tests.core.evaluation.made_cohort import predictions, truths


@pytest.fixture
def tables(tmp_path):
    """Two folders of predictions and their truth."""
    import pandas as pd

    for name, seed in (("a", 0), ("b", 1)):
        made = [one for one in predictions(30, seed=seed)]
        write_predictions(tmp_path / name, made, seconds=[0.0] * 30, single=False)
    rows = [
        {"StudyInstanceUID": t.study_id, "patient_overall": int(t.fractured.any())}
        | {f"C{j + 1}": int(t.fractured[j]) for j in range(7)}
        for t in truths(30)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "train.csv", index=False)
    return tmp_path / "a", tmp_path / "b", "--truth", tmp_path / "train.csv", "--replicates", 30


def test_tables_are_fitted_and_judged_out_of_fold(run, tables):
    status, out, errors = run("ensemble", *tables, "--method", "stacking", "--json")
    assert status == 0, errors
    found = json.loads(out)
    assert found["models"] == ["a", "b"]
    assert len(found["fold_weights"]) == 5
    assert set(found["levels"]) == {"patient", "vertebra"}
    assert set(found["levels"]["patient"]["minus_members"]) == {"a", "b"}
    status, out, _ = run("ensemble", *tables, "--weights", "1,3")
    assert status == 0
    assert "weights set by hand: a 1.000, b 3.000" in out
    assert "adjusted" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--method", "median"), "not a method"),
        (("--weights", "1,x"), "are not weights"),
        (("--weights", "1"), "do not fit"),
        (("--weights", "1,-1"), "0 or above"),
        (("--method", "stacking", "--weights", "1,1"), "are fitted"),
        (("--folds", "31"), "cannot be split"),
        (("--out", "OUT"), "give --bundle"),
        (("--bundle", "nowhere"), "do not fit"),
    ],
)
def test_bad_input_is_one_sentence(run, tables, tmp_path, more, words):
    more = [tmp_path / "new" if part == "OUT" else part for part in more]
    found = run("ensemble", *tables, *more)
    assert_one_sentence(found)
    assert words in found[2]
    assert not (tmp_path / "new").exists()


def test_bundles_are_fitted_on_their_folds_and_saved(run, repo_root, tmp_path, monkeypatch):
    checkpoints = Path(repo_root) / "checkpoints"
    monkeypatch.setenv("CHECKPOINTS", str(checkpoints))
    members = [checkpoints / name for name in ("fracture_type1", "fracture_type2")]
    status, out, errors = run("ensemble", *members, "--out", tmp_path / "mix", "--replicates", 20)
    assert status == 0, errors
    assert "Judged on 120 studies that its weights were not fitted on." in out
    assert "predict STUDY --bundle" in out
    assert json.loads((tmp_path / "mix" / "config.json").read_text())["name"] == "mix"
    assert_one_sentence(run("ensemble", *members, "--out", tmp_path / "mix", "--replicates", 20))
    assert_one_sentence(run("ensemble", members[0]))
    assert_one_sentence(run("ensemble", members[0], tmp_path))

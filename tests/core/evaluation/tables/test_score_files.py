from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import DataRootError, PredictionsError
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.evaluation.tables.score_table import table_from_predictions
from core.inference.outputs import SLICES_FILE, read_slices, write_predictions
from tests.core.evaluation.made_cohort import predictions, truths


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictions")
    made = predictions(6)
    write_predictions(
        folder, made, seconds=[0.0] * 6, single=False,
        folds={study.study_id: k % 2 for k, study in enumerate(made)},
    )  # fmt: skip
    return folder


def same(one, other):
    for name in ("study_ids", "offsets", "presence", "fracture", "slice_scores", "patient_scores"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_a_folder_of_predict_gives_the_same_scores_as_its_other_reader(written):
    read = read_score_table(written, "m")

    same(read, table_from_predictions("m", read_slices(written / SLICES_FILE)))
    assert read.fold.tolist() == [0, 1, 0, 1, 0, 1]


def test_rows_may_come_in_any_order(written, tmp_path):
    shuffled = pd.read_parquet(written / "slices.parquet").sample(frac=1, random_state=1)
    shuffled.to_parquet(tmp_path / "oof.parquet")
    read = read_score_table(tmp_path / "oof.parquet")

    same(read, read_score_table(written))
    assert read.name == "oof"
    assert read.fold.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_type_1_model_is_recognised_by_its_file(tmp_path):
    write_predictions(tmp_path, predictions(3, 1), seconds=[0.0] * 3, single=False)
    read = read_score_table(tmp_path)

    assert read.fracture_type == 1
    assert read.fracture.shape[1] == 1
    assert read.fold.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="f_C3"), "lacks the column f_C3"),
        (lambda t: t.assign(v_C1=np.nan), "empty cell|are NaN"),
        (lambda t: t.assign(v_C1=1.5), r"outside \[0, 1\]"),
        (lambda t: t.assign(v_C1="x"), "column v_C1 is not numeric"),
        (lambda t: t.iloc[1:], "is not 0..4, each once"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "is not 0..6, each once"),
        (lambda t: t.assign(fracture_type=np.arange(len(t)) % 2 + 2), "fracture_type changes"),
        (lambda t: t.iloc[:0], "has no row"),
    ],
)
def test_a_faulty_file_is_named(written, tmp_path, change, message):
    change(pd.read_parquet(written / "slices.parquet")).to_parquet(tmp_path / "slices.parquet")

    with pytest.raises(PredictionsError, match=message):
        read_score_table(tmp_path)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(PredictionsError, match="does not exist"):
        read_score_table(tmp_path / "none.parquet")
    (tmp_path / "slices.parquet").write_text("no parquet")
    with pytest.raises(PredictionsError, match="cannot be read as Parquet"):
        read_score_table(tmp_path)


def write_truth(folder, made, **more):
    labels = pd.DataFrame([t.fractured for t in made], columns=[f"y_C{j}" for j in range(1, 8)])
    labels.insert(0, "study_id", [t.study_id for t in made])
    labels["patient_overall"] = labels.filter(like="y_C").max(axis=1)
    labels.astype({c: int for c in labels.columns[1:]}).to_parquet(folder / "held_out.parquet")
    rows = []
    for t in made:
        part = pd.DataFrame(t.presence, columns=[f"present_C{j}" for j in range(1, 8)])
        part.insert(0, "slice_index", np.arange(len(part)))
        part.insert(0, "study_id", t.study_id)
        rows.append(part)
    slices = pd.concat(rows).assign(**more)
    slices.to_parquet(folder / "held_out_slices.parquet")
    return slices


def test_a_cohorts_truth_is_read_with_its_slices_and_boxes(tmp_path):
    made = truths(6)
    write_truth(tmp_path, made, boxed=False)
    read = read_truth_table(tmp_path / "held_out.parquet")

    for k, truth in enumerate(sorted(made, key=lambda t: t.study_id)):
        rows = slice(read.offsets[k], read.offsets[k + 1])
        assert read.study_ids[k] == truth.study_id
        assert np.array_equal(read.fractured[k], truth.fractured)
        assert np.array_equal(read.presence[rows], truth.presence)
    assert read.boxed is not None
    assert not read.boxed.any()
    evaluated = align([table_from_predictions("m", predictions(6))], read)
    assert evaluated.unsupported("m", "slice", "boxed") is None


def test_slice_truth_of_some_studies_leaves_the_others_without(tmp_path):
    made = truths(6)
    slices = write_truth(tmp_path, made)
    kept = slices[~slices["study_id"].isin(["1.2.0", "1.2.3"])]
    extra = slices[slices["study_id"] == "1.2.5"].assign(study_id="1.2.99")
    pd.concat([extra, kept]).to_parquet(tmp_path / "held_out_slices.parquet")
    read = read_truth_table(tmp_path / "held_out.parquet")

    assert read.study_ids[~read.has_slices].tolist() == ["1.2.0", "1.2.3"]
    assert read.boxed is None
    last = slice(read.offsets[5], read.offsets[6])
    assert np.array_equal(read.presence[last], made[5].presence)


def test_truth_that_is_not_0_and_1_is_named(tmp_path):
    write_truth(tmp_path, truths(2), present_C2=2)
    with pytest.raises(DataRootError, match="present_C2 holds something other"):
        read_truth_table(tmp_path / "held_out.parquet")


def test_a_train_csv_has_labels_only(tmp_path):
    made = truths(4)
    rows = pd.DataFrame([t.fractured for t in made], columns=[f"C{j}" for j in range(1, 8)])
    rows.insert(0, "StudyInstanceUID", [t.study_id for t in made])
    rows.astype({f"C{j}": int for j in range(1, 8)}).to_csv(tmp_path / "train.csv", index=False)
    read = read_truth_table(tmp_path / "train.csv")

    assert np.array_equal(read.fractured, [t.fractured for t in made])
    assert not read.has_slices.any()

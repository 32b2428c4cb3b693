from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.outside_scores import read_outside_scores
from tests.core.evaluation.made_cohort import table

KINDS = ("patient_overall", *VERTEBRAE)


def wide(n: int = 3) -> pd.DataFrame:
    scores = np.random.default_rng(0).random((n, 7)).round(4)
    rows = pd.DataFrame(scores, columns=list(VERTEBRAE))
    rows.insert(0, "Overall", 1 - np.prod(1 - scores, axis=1))
    rows.insert(0, "uid", [f"1.2.{k}" for k in range(n)][::-1])
    return rows


def competition(rows: pd.DataFrame) -> pd.DataFrame:
    long = rows.rename(columns={"Overall": "patient_overall"}).melt("uid", list(KINDS))
    return pd.DataFrame(
        {"row_id": long["uid"] + "_" + long["variable"], "fractured": long["value"]}
    )


def test_both_layouts_hold_the_same_model(tmp_path):
    rows = wide()
    rows.to_csv(tmp_path / "one.csv", index=False)
    competition(rows).sample(frac=1, random_state=0).to_csv(tmp_path / "other.csv", index=False)
    one, other = (read_outside_scores(tmp_path / f"{n}.csv") for n in ("one", "other"))

    assert one.table.name == "one"
    assert one.notes == ()
    assert one.table.study_ids.tolist() == ["1.2.0", "1.2.1", "1.2.2"]
    for name in ("study_ids", "vertebra_scores", "patient_scores"):
        assert np.array_equal(getattr(one.table, name), getattr(other.table, name)), name
    assert one.table.vertebra_scores[0] == pytest.approx(rows.iloc[2][list(VERTEBRAE)].tolist())


def test_columns_may_be_named_as_in_train_csv_and_a_mark_may_come_first(tmp_path):
    rows = wide().rename(columns={"uid": "StudyInstanceUID", "Overall": "patient_overall"})
    rows[[*VERTEBRAE, "patient_overall", "StudyInstanceUID"]].to_csv(
        tmp_path / "m.csv", index=False, encoding="utf-8-sig"
    )
    found = read_outside_scores(tmp_path / "m.csv", "ours")

    assert found.table.name == "ours"
    assert found.table.n_studies == 3


def test_a_patient_score_of_its_own_is_kept_and_noted(tmp_path):
    wide().assign(Overall=[0.1, 0.2, 0.3]).to_csv(tmp_path / "m.csv", index=False)
    found = read_outside_scores(tmp_path / "m.csv")

    assert found.table.patient_scores.tolist() == [0.3, 0.2, 0.1]
    assert "3 of 3 studies" in found.notes[0]


def test_missing_and_extra_studies_are_reported(tmp_path):
    wide(14).to_csv(tmp_path / "m.csv", index=False)
    model = read_outside_scores(tmp_path / "m.csv").table
    (coverage,) = align([model.take(np.arange(1, 14))], table(12)).coverage

    assert coverage.missing == ("1.2.0",)
    assert coverage.extra == ("1.2.12", "1.2.13")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="C4"), "line 1: no column C4"),
        (lambda t: t.drop(columns="uid"), "line 1: no column uid"),
        (lambda t: t.drop(columns="Overall"), "line 1: no column Overall"),
        (lambda t: t.assign(C2=[0.1, 1.5, 0.2]), "line 3: C2 is not a number between 0 and 1"),
        (lambda t: t.assign(C2=[0.1, 0.2, "x"]), "line 4: C2 is not a number"),
        (lambda t: t.assign(C2=[None, None, 0.2]), r"line 2: C2 is not a number .* \(and 1 more"),
        (lambda t: t.assign(uid="1.2"), r"line 3: the study comes a second time \(and 1 more"),
        (lambda t: t.assign(uid=""), "line 2: the study's identifier is empty"),
        (lambda t: t.iloc[:0], "no row below"),
        (lambda t: competition(t).iloc[1:], "study 1.2.2 has no row of type patient_overall"),
        (lambda t: competition(t).assign(row_id="1.2_C9"), "row_id is not <uid>_<type>"),
        (lambda t: pd.concat([competition(t)] * 2), "line 26: row_id comes a second time"),
        (lambda t: competition(t).assign(fractured=-1), "fractured is not a number between"),
    ],
)
def test_a_faulty_file_is_named_by_line(tmp_path, change, message):
    change(wide()).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(PredictionsError, match=message):
        read_outside_scores(tmp_path / "m.csv")


def test_what_is_no_csv_is_named(tmp_path):
    with pytest.raises(PredictionsError, match="does not exist"):
        read_outside_scores(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(PredictionsError, match="cannot be read as CSV"):
        read_outside_scores(tmp_path / "m.csv")

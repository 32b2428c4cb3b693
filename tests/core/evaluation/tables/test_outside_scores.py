from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.outside_scores import read_outside_scores
from core.evaluation.tables.truth import StudyTruth
from core.evaluation.tables.truth_table import truth_table
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


def test_without_a_patient_score_it_follows_from_the_vertebrae_and_a_note_says_so(tmp_path):
    rows = wide()
    rows.drop(columns="Overall").to_csv(tmp_path / "a.csv", index=False)
    long = competition(rows)
    long[~long["row_id"].str.endswith("overall")].to_csv(tmp_path / "b.csv", index=False)
    for name in ("a", "b"):
        found = read_outside_scores(tmp_path / f"{name}.csv")
        assert found.table.patient_scores == pytest.approx(rows["Overall"][::-1].tolist())
        assert "no patient score; it is 1 - prod_j" in found.notes[0]


WRITERS = {
    "mark": lambda t: "\ufeff" + t,
    "CRLF": lambda t: t.replace("\n", "\r\n"),
    "CR": lambda t: t.replace("\n", "\r"),
    "semicolons": lambda t: t.replace(",", ";"),
    "tabs": lambda t: t.replace(",", "\t"),
    "decimal commas": lambda t: t.replace(",", ";").replace("0.", "0,"),
    "sep line": lambda t: "sep=;\n" + t.replace(",", ";"),
    "quoted": lambda t: "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in t.splitlines()
    ),
    "blanks": lambda t: t.replace(",", " , "),
    "headings": lambda t: t.replace("uid", "Study Instance UID").replace("Overall", "OVER ALL"),
    "small headings": lambda t: t.replace("uid", "study_id").replace("C", "c"),
    "text ids": lambda t: "\n".join(
        line.replace("1.2.", '"=""1.2.', 1).replace(",", '""",', 1) if k else line
        for k, line in enumerate(t.splitlines())
    ),
    "empty columns": lambda t: t.replace("\n", ",,\n"),
}  # fmt: skip


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("layout", ["wide", "competition"])
def test_however_a_table_was_written_it_holds_the_same_scores(tmp_path, how, layout):
    rows = wide() if layout == "wide" else competition(wide())
    text = rows.to_csv(index=False)
    (tmp_path / "m.csv").write_text(text)
    (tmp_path / "changed.csv").write_text(WRITERS[how](text), newline="", encoding="utf-8")
    expected, found = (read_outside_scores(tmp_path / f"{n}.csv").table for n in ("m", "changed"))
    assert found.study_ids.tolist() == expected.study_ids.tolist()
    assert np.array_equal(found.vertebra_scores, expected.vertebra_scores)
    assert np.array_equal(found.patient_scores, expected.patient_scores)


def test_a_table_in_utf_16_is_read_and_booleans_are_scores(tmp_path):
    rows = wide().assign(C1=[True, False, True])
    (tmp_path / "m.csv").write_bytes(rows.to_csv(index=False, sep="\t").encode("utf-16"))
    found = read_outside_scores(tmp_path / "m.csv").table
    assert found.vertebra_scores[:, 0].tolist() == [1.0, 0.0, 1.0]


def test_ids_that_differ_by_case_and_blanks_are_the_same_study(tmp_path):
    rows = wide(3).assign(uid=["B 1", "a2 ", "c"])
    rows.to_csv(tmp_path / "m.csv", index=False)
    model = read_outside_scores(tmp_path / "m.csv").table
    truth = truth_table(
        [StudyTruth(name, np.zeros(7, np.bool_), None, names) for name, names in
         (("A2", ()), ("b1", ()), ("1.2.3", ("C",)))]
    )  # fmt: skip
    aligned = align([model], truth)
    assert aligned.truth.study_ids.tolist() == ["1.2.3", "A2", "b1"]
    assert aligned.models[0].study_ids.tolist() == ["1.2.3", "A2", "b1"]
    by_id = dict(zip(["b1", "A2", "1.2.3"], rows["C4"], strict=True))
    assert aligned.models[0].vertebra_scores[:, 3].tolist() == [
        by_id[name] for name in ("1.2.3", "A2", "b1")
    ]


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
        (lambda t: t.drop(columns="uid"), "line 1: no column StudyInstanceUID; .* are Overall, C1"),
        (lambda t: t.assign(C2=[0.1, 1.5, 0.2]), "line 3: C2 is not a number between 0 and 1"),
        (lambda t: t.assign(C2=[0.1, 0.2, "x"]), "line 4: C2 is not a number"),
        (lambda t: t.assign(C2=[None, None, 0.2]), r"line 2: C2 is not a number .* \(and 1 more"),
        (lambda t: t.assign(uid="1.2"), r"line 3: the study comes a second time \(and 1 more"),
        (lambda t: t.assign(uid=""), "line 2: the study's identifier is empty"),
        (lambda t: t.iloc[:0], "no row below"),
        (lambda t: competition(t).iloc[1:], "study 1.2.2 has no row of type patient_overall; .*8"),
        (lambda t: competition(t).iloc[3:-1], "study 1.2.0 has no row of type C7; give 7 rows"),
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
    (tmp_path / "m.csv").write_bytes(b"\x89\xfe\x00\x80")
    with pytest.raises(PredictionsError, match="cannot be read as a CSV"):
        read_outside_scores(tmp_path / "m.csv")

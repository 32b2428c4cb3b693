"""Subgroups on the Evaluation page: a weakness is found, a group filters the errors."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.config import Settings
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from dashboard.evaluation.added_columns import add_columns
from dashboard.evaluation.deferred import pool
from tests.dashboard.made_predictions import write_predictions_place
from tests.pages.driver import html
from tests.pages.test_evaluation import best, open_evaluation

THRESHOLD = 0.3


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("subgroups")
    write_predictions_place(root / "checkpoints", studies=80, slices=7_000, models=2)
    return root


@pytest.fixture
def place(cohort, monkeypatch, tmp_path):
    """Predictions, and a column whose group *Ward 7* holds most of the best model's errors."""
    monkeypatch.delenv("RSNA_ROOT", raising=False)
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "var" / "cache"))
    monkeypatch.setenv("CHECKPOINTS", str(cohort / "checkpoints"))
    ids, wrong = calls(cohort)
    rng = np.random.default_rng(0)
    ward = np.where(wrong & (rng.random(len(ids)) < 0.9), "Ward 7", "Ward 1")
    ward[rng.choice(len(ids), 8, replace=False)] = "Ward 7"
    rows = "".join(f"{i},{w}\n" for i, w in zip(ids, ward, strict=True))
    add_columns(
        Settings(), "wards", f"uid,Ward\n{rows}".encode(), truth_id="held_out", study_ids=ids
    )
    return cohort, ids[ward == "Ward 7"]


def calls(root) -> tuple[np.ndarray, np.ndarray]:
    """Study ids, and whether the best model's patient call is wrong, from the files."""
    folder = root / "checkpoints"
    truth = read_truth_table(folder / "cohorts" / "held_out.parquet")
    scores = read_score_table(folder / best(root) / "predictions" / "held_out.parquet")
    return truth.study_ids, (scores.patient_scores >= THRESHOLD) != truth.fractured.any(axis=1)


def opened(place, **query: str):
    """The page at the threshold, once its groups are computed."""
    app = open_evaluation(moved=f"bundle.{best(place)}*{THRESHOLD}", **query)
    until = time.monotonic() + 60
    while pool().busy and time.monotonic() < until:
        time.sleep(0.1)
    return app.run()


def words(app) -> str:
    return " ".join(m.value.replace("\\", "") for m in [*app.markdown, *app.caption])


def test_subgroups_are_folded_until_they_are_asked_for(place):
    app = open_evaluation()
    assert not app.toggle(key="ev_subgroups").value
    assert "dashed line is all studies" not in words(app)


@pytest.mark.slow
def test_the_ward_with_the_errors_is_named_and_is_the_worst_part(place):
    root, members = place
    app = opened(root, subgroups="all")
    assert not app.exception
    text = words(app)
    assert "Ward: Ward 7:" in text
    assert "More errors, by more than chance" in text
    assert "dashed line is all studies" in text
    table = app.dataframe[-1].value
    assert table["Part"].iloc[0].startswith("Ward: Ward 7")
    figures = app.dataframe[0].value
    row = figures[figures["Group"] == "Ward: Ward 7"].iloc[0]
    assert row["Studies"] == len(members)


@pytest.mark.slow
def test_a_group_in_the_link_filters_the_errors_and_the_button_shows_all(place):
    root, members = place
    ids, wrong = calls(root)
    app = opened(root, group="csv.ward*Ward%207", errors="missed")
    assert app.button(key="ev_group_clear").label.replace("\\", "") == "Only Ward: Ward 7"
    truth = read_truth_table(root / "checkpoints" / "cohorts" / "held_out.parquet")
    positive = truth.fractured.any(axis=1)
    inside = np.isin(ids, members)
    assert f">{int((wrong & positive & inside).sum())} at threshold" in html(app)
    app.button(key="ev_group_clear").click().run()
    assert "group" not in app.query_params
    assert f">{int((wrong & positive).sum())} at threshold" in html(app)


@pytest.mark.slow
def test_a_group_that_is_not_there_is_one_sentence_with_a_way_out(place):
    root, _ = place
    app = opened(root, group="csv.site*x")
    assert "no such column" in app.error[0].value
    app.button(key="ev_group_clear").click().run()
    assert not app.error


@pytest.mark.slow
def test_a_column_that_is_not_there_is_one_sentence(place):
    app = opened(place[0], subgroups="csv.none")
    assert [one.value for one in app.error] == [
        "The studies shown have no column “csv.none” to be compared by; choose others."
    ]


def test_a_link_chooses_the_columns_and_the_figure(place):
    root, _ = place
    app = opened(root, subgroups="csv.ward", measure="sensitivity")
    assert not app.exception
    assert app.multiselect(key="ev_columns_shown").value == ["csv.ward"]
    assert set(app.dataframe[0].value["Group"]) == {"All", "Ward: Ward 1", "Ward: Ward 7"}
    assert "ROC AUC" in app.dataframe[0].value.columns

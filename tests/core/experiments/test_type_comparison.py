"""The comparison of the shipped types follows from the predictions in git."""

from __future__ import annotations

import json

import pytest

from core.config import PROJECT_ROOT
from core.evaluation.report import evaluate_scores
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from core.experiments.ablations import load_experiments
from core.experiments.type_comparison import TYPES_FILE, compare_types
from core.models.bundles import EXPERIMENTS_FOLDER

SHIPPED = PROJECT_ROOT / "checkpoints"
STATED = json.loads((SHIPPED / EXPERIMENTS_FOLDER / TYPES_FILE).read_text())


@pytest.fixture(scope="module")
def compared():
    return compare_types(SHIPPED, replicates=20)


@pytest.mark.parametrize("cohort", ["held_out", "out_of_fold"])
def test_the_figures_in_git_follow_from_the_predictions_in_git(compared, cohort):
    for level, figures in compared[cohort].items():
        stated = STATED["results"][cohort][level]
        assert list(stated) == list(figures)
        first = next(iter(figures.values()))
        for name, figure in figures.items():
            assert stated[name]["auc"] == pytest.approx(figure.auc, abs=1e-9)
            assert stated[name]["difference"] == pytest.approx(figure.auc - first.auc, abs=1e-9)
            low, high = stated[name]["low"], stated[name]["high"]
            assert low < stated[name]["auc"] < high


@pytest.mark.parametrize("level", ["slice", "vertebra", "patient"])
def test_a_figure_is_that_of_the_evaluation(compared, level):
    name = "localization_mobilenet_v3_large"
    report = evaluate_scores(
        read_score_table(SHIPPED / name / "predictions" / "held_out.parquet", name),
        read_truth_table(SHIPPED / "cohorts" / "held_out.parquet"),
        replicates=1,
    )
    found = compared["held_out"][level][name]
    assert found.auc == pytest.approx(getattr(report, level).metrics.auc, abs=1e-9)


def test_every_described_experiment_was_run():
    for name, experiment in load_experiments().items():
        file = SHIPPED / EXPERIMENTS_FOLDER / f"{name}.json"
        found = json.loads(file.read_text())
        assert found["synthetic"] is True
        assert list(found["results"]) == list(experiment.arms)
        assert found["seeds"] == list(experiment.seeds)
        for arm in found["results"].values():
            assert {len(figure["runs"]) for figure in arm["figures"].values()} == {
                len(experiment.seeds)
            }

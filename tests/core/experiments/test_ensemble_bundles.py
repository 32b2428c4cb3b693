"""Ensembles of the shipped bundles: saved, read back, and consistent with their stored scores."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import BundleError, PredictionsError, StorageError
from core.evaluation.built_ensemble import EnsembleChoice, build_ensemble
from core.evaluation.tables.score_files import read_score_table
from core.experiments.cohorts import FOLDS, HELD_OUT
from core.experiments.ensemble_bundles import (
    NewEnsemble,
    cohort_scores,
    cohort_tables,
    save_ensemble,
)
from core.inference.ensemble import combination_of
from core.inference.outputs import read_slices
from core.models.bundles import read_bundle
from core.models.ensembles import read_members
from core.models.operating_points import operating_point

NAMES = ("fracture_type2", "localization_mobilenet_v3_large")


@pytest.fixture(scope="module")
def new(repo_root):
    checkpoints = Path(repo_root) / "checkpoints"
    members = tuple(read_bundle(checkpoints / name) for name in NAMES)
    fit_on, judge_on = (cohort_scores(members, checkpoints, c) for c in (FOLDS, HELD_OUT))
    built = build_ensemble("mix", fit_on, judge_on, EnsembleChoice("rank"))
    return NewEnsemble(
        built, members, checkpoints, ("folds", "held out"), synthetic=True,
        tables=cohort_tables(built),
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(new, tmp_path_factory):
    return save_ensemble(tmp_path_factory.mktemp("var") / "mix", new, replicates=50)


def test_a_saved_ensemble_reads_back_with_the_same_combination(new, saved):
    combination = combination_of(saved.config.ensemble)
    assert combination.method == "rank"
    assert combination.weights == new.built.combination.weights
    assert [r.quantiles for r in combination.references] == [
        r.quantiles for r in new.built.combination.references
    ]
    assert [one.config.name for one in read_members(saved)] == list(NAMES)
    assert saved.config.vertebra_bundle == "vertebra_type1"
    assert saved.config.uses_boxes
    assert saved.config.ensemble.weights_from == "fitted on 240 studies (folds)"


def test_its_figures_and_thresholds_are_those_of_the_judgement(new, saved):
    levels = saved.metrics["levels"]
    assert set(levels) == {"patient", "vertebra", "slice"}
    assert saved.metrics["headline"]["value"] == levels["patient"]["auc"]
    assert set(levels["slice"]["minus_members"]) == set(NAMES)
    point = operating_point(saved, "vertebra")
    assert point.threshold == new.built.operating_points()["vertebra"]["threshold"]
    assert point.rule == "highest F1"
    assert point.origin == f"set by an operator on {saved.config.created[:10]}"
    assert saved.operating_points["chosen_on"] == "folds"


def test_its_stored_predictions_give_the_scores_that_were_judged(new, saved):
    judged = new.built.judged.model("mix")
    table = read_score_table(HELD_OUT.predictions_file(saved.folder))
    assert table.study_ids.tolist() == judged.study_ids.tolist()
    # Stored with four digits.
    np.testing.assert_allclose(table.vertebra_scores, judged.vertebra_scores, atol=2e-4)
    np.testing.assert_allclose(table.slice_scores, judged.slice_scores, atol=2e-4)
    assert table.fracture_type == 4
    stored = read_slices(HELD_OUT.predictions_file(saved.folder))[0]
    member = read_slices(HELD_OUT.predictions_file(new.members[0].folder))[0]
    assert stored.models == ("vertebra_type1", "mix")
    assert np.array_equal(stored.z_mm, member.z_mm)
    folds = read_score_table(FOLDS.predictions_file(saved.folder)).fold
    assert np.array_equal(folds, new.built.chosen_on.model("mix").fold)


def test_only_a_new_folder_with_a_plain_name_is_written(new, saved, tmp_path, monkeypatch):
    before = sorted(saved.folder.parent.iterdir())
    with pytest.raises(BundleError, match="exists"):
        save_ensemble(saved.folder, new)
    for name in ("a b", ".hidden", "x" * 61, "a,b"):
        with pytest.raises(BundleError, match="name of an ensemble"):
            save_ensemble(tmp_path / name, new)
    with pytest.raises(BundleError, match="do not fit"):
        save_ensemble(
            tmp_path / "one", NewEnsemble(new.built, new.members[:1], new.checkpoints, ("", ""))
        )

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.experiments.ensemble_bundles.move_into_place", full)
    with pytest.raises(StorageError, match="No space left"):
        save_ensemble(tmp_path / "late", new, replicates=10)
    assert list(tmp_path.iterdir()) == []
    assert sorted(saved.folder.parent.iterdir()) == before


def test_bundles_without_predictions_are_refused(untrained_bundles, repo_root):
    members = [read_bundle(untrained_bundles / "fracture-untrained")]
    with pytest.raises(PredictionsError, match="no predictions of the cohort"):
        cohort_scores(members, Path(repo_root) / "checkpoints", FOLDS)


def test_what_is_written_is_plain_json(saved):
    for file in saved.folder.glob("*.json"):
        json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(name))

"""Building an ensemble: which studies it is fitted, judged and given thresholds on."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import PredictionsError
from core.evaluation.built_ensemble import EnsembleChoice, build_ensemble
from core.evaluation.curves import threshold_counts
from core.evaluation.ensemble_weights import fit_weights
from core.evaluation.ensembles import ensemble_table
from core.evaluation.thresholds import Rule, choose_threshold
from tests.core.evaluation.made_cohort import cohort


def halves(n=40):
    whole = cohort(n, models=2)
    return whole.take(np.arange(0, n, 2)), whole.take(np.arange(1, n, 2))


def test_fitted_weights_are_judged_on_other_studies():
    fit_on, judge_on = halves()
    built = build_ensemble("e", fit_on, judge_on, EnsembleChoice("stacking"))
    wanted = fit_weights(fit_on, "stacking")
    assert built.combination.weights == wanted.weights
    scores = ensemble_table("e", judge_on.models, wanted)
    assert np.array_equal(built.judged.model("e").patient_scores, scores.patient_scores)
    assert "were not fitted on" in built.judged_as
    assert built.weights_from == "fitted on 20 studies"
    # Thresholds are those of the out-of-fold scores of the fit's studies.
    items = built.chosen_on.items("e", "patient")
    assert not np.array_equal(
        items.scores, ensemble_table("e", fit_on.models, wanted).patient_scores
    )
    point = choose_threshold(threshold_counts(items.scores, items.truth), Rule())
    assert built.operating_points()["patient"] == {
        "threshold": point.threshold, "rule": "highest F1",
    }  # fmt: skip


def test_without_other_studies_out_of_fold_scores_are_judged():
    fit_on, _ = halves()
    built = build_ensemble("e", fit_on, None, EnsembleChoice("rank", folds=4))
    assert built.judged is built.chosen_on
    assert set(built.judged.model("e").fold) == {0, 1, 2, 3}
    assert built.judged_as.startswith("Judged out of fold on 20 studies")
    assert built.fold_weights.shape == (4, 2)


def test_given_weights_are_taken_as_they_are():
    fit_on, judge_on = halves()
    built = build_ensemble("e", fit_on, judge_on, EnsembleChoice("log_odds", (1.0, 3.0)))
    assert built.combination.weights == (1.0, 3.0)
    assert built.weights_from == "set by hand"
    found = built.figures(built.comparisons(replicates=50))
    assert list(found) == ["patient", "vertebra", "slice"]
    items = built.judged.items("e", "vertebra")
    assert found["vertebra"]["auc"] == pytest.approx(roc_auc_score(items.truth, items.scores))
    pairs = built.comparisons(replicates=50)["vertebra"]
    assert found["vertebra"]["minus_members"]["b"]["auc"] == pairs[1].delong.difference
    assert [pair.second for pair in pairs] == ["a", "b"]


def test_other_models_are_refused():
    fit_on, judge_on = halves()
    with pytest.raises(PredictionsError, match="same ones"):
        build_ensemble(
            "e", fit_on, replace(judge_on, models=judge_on.models[::-1]), EnsembleChoice()
        )

"""Fits against scikit-learn, out-of-fold scores against fits fold by fold, and paired tests."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from core.errors import PredictionsError
from core.evaluation.comparison import holm
from core.evaluation.delong import delong_test
from core.evaluation.ensemble_weights import fit_weights, have_slices, with_weights
from core.evaluation.ensembles import (
    add_model,
    compare_with_members,
    ensemble_table,
    fit_out_of_fold,
)
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.score_table import table_without_slices
from core.inference.aggregation import aggregate
from core.inference.context import rising_fit
from core.types import SlicePredictions
from tests.core.evaluation.made_cohort import cohort, model, table


def odds(p):
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def outside(n=60, models=3, seed=0):
    """Models without slices; the last one knows nothing."""
    truth = table(n)
    rng = np.random.default_rng(seed)
    tables = []
    for k in range(models):
        signal = 0.0 if k == models - 1 else 1.5 - k / 2
        logits = signal * (2 * truth.fractured - 1) + rng.normal(size=truth.fractured.shape)
        p = 1 / (1 + np.exp(-logits))
        tables.append(table_without_slices("abcdef"[k], truth.study_ids, p, p.max(axis=1)))
    return align(tables, truth)


def test_stacking_without_slices_is_scikit_learns_logistic_regression():
    evaluated = outside()
    x = np.stack([odds(m.vertebra_scores.ravel()) for m in evaluated.models], axis=1)
    wanted = LogisticRegression(max_iter=1000).fit(x, evaluated.truth.fractured.ravel())
    found = fit_weights(evaluated, "stacking", non_negative=False)
    np.testing.assert_allclose(found.weights, wanted.coef_[0], atol=1e-6)
    assert found.intercept == pytest.approx(wanted.intercept_[0], abs=1e-6)
    scores = ensemble_table("e", evaluated.models, found).vertebra_scores
    np.testing.assert_allclose(scores.ravel(), wanted.predict_proba(x)[:, 1], atol=1e-6)


def test_stacking_with_slices_weights_every_vertebra_once():
    evaluated = cohort(30, models=2)
    rows, truth, weights = [], [], []
    seen = np.mean([m.presence for m in evaluated.models], axis=0) >= 0.5
    for study in range(evaluated.truth.n_studies):
        own = slice(*evaluated.models[0].offsets[study : study + 2])
        for j in range(7):
            at = np.flatnonzero(seen[own, j])
            for i in at:
                rows.append([odds(m.fracture[own][i, j]) for m in evaluated.models])
                truth.append(evaluated.truth.fractured[study, j])
                weights.append(1 / len(at))
    wanted = LogisticRegression(max_iter=1000).fit(np.array(rows), truth, sample_weight=weights)
    found = fit_weights(evaluated, "stacking", non_negative=False)
    np.testing.assert_allclose(found.weights, wanted.coef_[0], atol=1e-5)
    assert found.intercept == pytest.approx(wanted.intercept_[0], abs=1e-5)


def test_fitted_slopes_are_never_negative_unless_that_is_allowed():
    evaluated = outside()
    first, second, _ = evaluated.models
    against = replace(second, vertebra_scores=1 - first.vertebra_scores * 0.9, name="z")
    turned = replace(evaluated, models=(first, second, against))
    assert min(fit_weights(turned, "stacking", non_negative=False).weights) < 0
    kept = fit_weights(turned, "stacking")
    assert kept.weights[2] == 0
    alone = fit_weights(replace(turned, models=(first, second)), "stacking")
    np.testing.assert_allclose(kept.weights[:2], alone.weights, atol=1e-9)
    for method in ("log_odds", "rank"):
        mean = fit_weights(turned, method)
        assert sum(mean.weights) == pytest.approx(1.0)
        assert mean.weights[2] == 0
        assert mean.weights[0] > mean.weights[1]


def test_only_the_most_negative_slope_is_dropped_at_once():
    # Alone, the second feature rises with y; next to the others both have a negative slope.
    rng = np.random.default_rng(4)
    y = rng.random(400) < 0.5
    first = y + rng.normal(size=400) * 0.3
    x = np.stack([-first, y * 0.5 + rng.normal(size=400)], axis=1)
    slopes, _ = rising_fit(x, y)
    assert slopes[0] == 0
    assert slopes[1] > 0


@pytest.mark.parametrize("method", ["log_odds", "rank", "stacking"])
@pytest.mark.parametrize("slices", [True, False])
def test_each_study_is_scored_by_a_fit_on_the_other_folds(method, slices):
    evaluated = cohort(30, models=2) if slices else outside(30)
    found = fit_out_of_fold("e", evaluated, method, folds=4)
    folds = found.table.fold
    assert sorted(np.unique(folds)) == [0, 1, 2, 3]
    fractured = evaluated.truth.fractured.any(axis=1)
    for fold in range(4):
        held_out = np.flatnonzero(folds == fold)
        assert 0 < fractured[held_out].sum() < len(held_out)
        others = fit_weights(evaluated.take(np.flatnonzero(folds != fold)), method)
        np.testing.assert_allclose(found.weights[fold], others.weights, atol=1e-9)
        alone = ensemble_table("e", evaluated.take(held_out).models, others)
        wanted = found.table.take(held_out)
        np.testing.assert_allclose(alone.vertebra_scores, wanted.vertebra_scores, atol=1e-6)
        np.testing.assert_allclose(alone.patient_scores, wanted.patient_scores, atol=1e-6)
    everything = fit_weights(evaluated, method)
    np.testing.assert_allclose(found.combination.weights, everything.weights)


def test_every_score_follows_from_the_combined_slices():
    evaluated = align([model("a", 12, 1, seed=1), model("b", 12, 2, seed=2)], table())
    found = ensemble_table(
        "e", evaluated.models, with_weights(evaluated.models, "log_odds", (0.3, 0.7))
    )
    assert found.fracture_type == 2
    for study in range(12):
        own = slice(*found.offsets[study : study + 2])
        one = aggregate(
            SlicePredictions(
                "s", -np.arange(own.stop - own.start, dtype=float), found.presence[own],
                found.fracture[own], 2,
            )
        )  # fmt: skip
        np.testing.assert_allclose(found.vertebra_scores[study], one.vertebra_probs, atol=1e-6)
        assert found.patient_scores[study] == pytest.approx(one.patient_prob, abs=1e-6)
        np.testing.assert_allclose(found.slice_scores[own], one.slice_probs, atol=1e-6)


@pytest.mark.parametrize("method", ["log_odds", "rank"])
def test_weight_one_is_the_model_and_the_order_of_models_does_not_matter(method):
    models = cohort(12, models=3).models
    alone = ensemble_table("e", models, with_weights(models, method, (0, 1, 0)))
    assert np.array_equal(alone.patient_scores, models[1].patient_scores)
    assert np.array_equal(alone.slice_scores, models[1].slice_scores)
    assert alone.name == "e"
    one = ensemble_table("e", models, with_weights(models, method, (1, 2, 3)))
    turned = ensemble_table("e", models[::-1], with_weights(models[::-1], method, (3, 2, 1)))
    np.testing.assert_allclose(one.patient_scores, turned.patient_scores, atol=1e-6)


def test_models_with_and_without_slices_are_combined_by_their_vertebrae():
    truth = table(12)
    with_slices = model("a", 12)
    scores = np.random.default_rng(0).random((12, 7))
    other = table_without_slices("b", truth.study_ids, scores, scores.max(axis=1))
    evaluated = align([with_slices, other], truth)
    assert not have_slices(evaluated.models)
    found = ensemble_table(
        "e", evaluated.models, with_weights(evaluated.models, "log_odds", (1, 1))
    )
    wanted = odds(evaluated.models[0].vertebra_scores) / 2 + odds(scores) / 2
    np.testing.assert_allclose(odds(found.vertebra_scores), wanted, atol=1e-9)
    wanted = 1 - np.prod(1 - found.vertebra_scores, axis=1)
    np.testing.assert_allclose(found.patient_scores, wanted)


def test_the_comparison_is_ensemble_minus_member_with_holm_over_the_members():
    evaluated = outside()
    fitted = fit_out_of_fold("e", evaluated, "stacking")
    judged = add_model(evaluated, fitted.table)
    found = compare_with_members(judged, "e", "vertebra", replicates=200)
    assert [(pair.first, pair.second) for pair in found] == [("e", "a"), ("e", "b"), ("e", "c")]
    items = {name: judged.items(name, "vertebra") for name in "eabc"}
    tests = [
        delong_test(items["e"].scores, items[m].scores, items[m].truth, items[m].patients)
        for m in "abc"
    ]
    for pair, test, adjusted in zip(found, tests, holm([t.p_value for t in tests]), strict=True):
        assert pair.delong == test
        assert pair.delong_adjusted_p == pytest.approx(adjusted)
        assert pair.differences["auc"].value == pytest.approx(test.difference)
        assert pair.differences["auc"].low <= test.difference <= pair.differences["auc"].high
    # The model that knows nothing is beaten, and by more than chance.
    assert found[2].differences["auc"].low > 0
    assert found[2].delong_adjusted_p < 0.001


def test_bad_requests_are_refused_in_a_sentence():
    evaluated = outside(12)
    models = evaluated.models
    with pytest.raises(PredictionsError, match="two models"):
        fit_weights(replace(evaluated, models=models[:1]), "rank")
    with pytest.raises(PredictionsError, match="do not fit"):
        with_weights(models, "rank", (1, 1))
    with pytest.raises(PredictionsError, match="are fitted"):
        with_weights(models, "stacking", (1, 1, 1))
    with pytest.raises(PredictionsError, match="folds"):
        fit_out_of_fold("e", evaluated, "rank", folds=13)
    with pytest.raises(PredictionsError, match="one class"):
        fit_weights(evaluated.take(np.flatnonzero(~evaluated.truth.fractured.any(axis=1))), "rank")
    with pytest.raises(PredictionsError, match="same name"):
        add_model(evaluated, models[0])
    useless = tuple(replace(m, vertebra_scores=1 - models[0].vertebra_scores) for m in models)
    with pytest.raises(PredictionsError, match="rises"):
        fit_weights(replace(evaluated, models=useless), "log_odds")

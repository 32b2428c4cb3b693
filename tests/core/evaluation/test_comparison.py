from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import f1_score, roc_auc_score

from core.errors import PredictionsError
from core.evaluation.comparison import Setting, compare_models, compare_settings, holm
from core.evaluation.delong import delong_test
from core.evaluation.mcnemar import mcnemar_test
from core.evaluation.resampling import resample_patients
from core.evaluation.tables.evaluation_set import align
from core.evaluation.tables.truth_table import TruthTable
from tests.core.evaluation.made_cohort import cohort, model, table


def kernel(scores, truth):
    """Whether each positive beats each negative, a tie counting half: DeLong's definition."""
    above = scores[truth][:, None] - scores[~truth][None, :]
    return (above > 0) + (above == 0) / 2


def plain_covariance(first, second, truth):
    """DeLong's covariance by its definition, every pair of items."""
    one, other = kernel(first, truth), kernel(second, truth)
    rows = np.cov(one.mean(axis=1), other.mean(axis=1))
    columns = np.cov(one.mean(axis=0), other.mean(axis=0))
    return rows / len(one) + columns / one.shape[1]


@st.composite
def pairs_of_models(draw):
    n, grid = draw(st.integers(4, 40)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    truth = rng.random(n) < 0.5
    truth[:4] = [True, True, False, False]
    return rng.integers(0, grid + 1, n) / grid, rng.integers(0, grid + 1, n) / grid, truth


def alone(scores, truth, patients=None):
    """The test against a model without information, whose AUC is 0.5 without any error."""
    return delong_test(scores, np.zeros(len(scores)), truth, patients)


@settings(deadline=None, max_examples=60)
@given(pairs_of_models())
def test_delong_agrees_with_its_definition(case):
    first, second, truth = case
    covariance = plain_covariance(first, second, truth)
    own, test = alone(first, truth), delong_test(first, second, truth)

    assert own.difference == pytest.approx(roc_auc_score(truth, first) - 0.5, abs=1e-12)
    assert own.standard_error == pytest.approx(np.sqrt(covariance[0, 0]), abs=1e-8)
    wanted = own.difference + 1.959963984540054 * own.standard_error
    assert own.high == pytest.approx(min(wanted, 1.0), abs=1e-12)
    variance = max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)
    assert test.standard_error**2 == pytest.approx(variance, abs=1e-12)
    if variance > 1e-12:
        z = (roc_auc_score(truth, first) - roc_auc_score(truth, second)) / np.sqrt(variance)
        assert test.p_value == pytest.approx(2 * norm.sf(abs(z)), abs=1e-9)


def test_equal_models_do_not_differ_and_perfect_ones_have_no_error():
    scores, truth = np.array([0.1, 0.4, 0.35, 0.8, 0.7]), np.array([0, 0, 1, 1, 1], bool)
    assert delong_test(scores, scores, truth).p_value == 1.0
    assert delong_test(truth * 1.0, ~truth * 1.0, truth).p_value == 0.0
    assert alone(truth * 1.0, truth).low == 0.5
    assert alone(scores, np.array([0, 0, 0, 0, 1], bool)) is None


def obuchowski(scores, truth, patients):
    """The clustered variance of Obuchowski, 1997, sum by sum."""
    psi = kernel(scores, truth)
    area, (m, n) = psi.mean(), psi.shape
    names = np.unique(patients)
    x, y = [], []
    for name in names:
        x.append(sum(psi[i].mean() - area for i in np.flatnonzero(patients[truth] == name)))
        y.append(sum(psi[:, j].mean() - area for j in np.flatnonzero(patients[~truth] == name)))
    x, y, k = np.array(x), np.array(y), len(names)
    k_x, k_y = len(set(patients[truth])), len(set(patients[~truth]))
    s_10, s_01 = k_x / ((k_x - 1) * m) * (x @ x), k_y / ((k_y - 1) * n) * (y @ y)
    return s_10 / m + s_01 / n + 2 * k / (k - 1) * (x @ y) / (m * n)


def test_items_of_one_patient_widen_the_interval_as_obuchowski_says():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(12), 5)
    own = rng.normal(0, 1, 12)[patients]
    truth = rng.random(60) < 0.4
    scores = own + truth + rng.normal(0, 0.3, 60)
    found = alone(scores, truth, patients)

    assert found.standard_error**2 == pytest.approx(obuchowski(scores, truth, patients), abs=1e-12)
    # Five copies of every item say no more than the items did.
    fivefold = alone(np.tile(scores, 5), np.tile(truth, 5), np.tile(patients, 5))
    assert fivefold.standard_error == pytest.approx(found.standard_error, abs=1e-12)


@pytest.mark.slow
def test_delongs_interval_is_near_the_bootstraps():
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.4
    scores = rng.normal(0, 1, 400) + truth
    found = alone(scores, truth)
    areas = [
        roc_auc_score(truth[chosen], scores[chosen])
        for draws in resample_patients(400, 300, 1)
        for chosen in [np.repeat(np.arange(400), draws)]
    ]

    assert found.standard_error == pytest.approx(np.std(areas), rel=0.15)


def test_mcnemar_is_the_binomial_test_of_the_items_on_which_one_is_right():
    first = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 1], bool)
    second = np.array([1, 0, 0, 0, 0, 0, 0, 0, 1, 1], bool)
    truth = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    found = mcnemar_test(first, second, truth)

    assert (found.first_only, found.second_only) == (6, 0)
    assert found.exact
    assert found.p_value == pytest.approx(2 * 0.5**6, abs=1e-12)
    assert mcnemar_test(second, first, truth).p_value == found.p_value
    assert mcnemar_test(first, first, truth).p_value == 1.0
    assert mcnemar_test(first, second, truth, np.arange(10)) == found


def test_mcnemar_over_clusters_counts_each_patients_share():
    # By hand: shares 2/2, 1/2, -1/2, 0: (1)^2 / (1 + 1/4 + 1/4) = 0.6667 on one degree.
    truth = np.ones(8, bool)
    first = np.array([1, 1, 1, 0, 0, 0, 1, 0], bool)
    second = np.array([0, 0, 0, 0, 1, 0, 1, 0], bool)
    found = mcnemar_test(first, second, truth, np.repeat(np.arange(4), 2))

    assert not found.exact
    assert (found.first_only, found.second_only) == (3, 1)
    assert found.p_value == pytest.approx(2 * norm.sf(np.sqrt(2 / 3)), abs=1e-12)


def test_holm_of_a_worked_case():
    # Holm's steps for 0.01, 0.04, 0.03, 0.005: 4 x 0.005, 3 x 0.01, 2 x 0.03, then no less.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(PredictionsError, match="p-value"):
        holm([0.1, float("nan")])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_helps_and_keeps_the_order(values):
    adjusted = holm(values)
    assert all(p <= q <= 1 for p, q in zip(values, adjusted, strict=True))
    assert [adjusted[k] for k in np.argsort(values, kind="stable")] == sorted(adjusted)


@pytest.mark.slow
def test_a_paired_difference_is_that_of_the_same_draws():
    evaluated = cohort(12, models=2)
    thresholds = {"a": 0.4, "b": 0.3}
    found = compare_models(evaluated, "vertebra", thresholds, replicates=80, seed=3)
    a, b = (evaluated.items(name, "vertebra") for name in "ab")
    rows = []
    for draws in resample_patients(12, 80, 3):
        w = draws[a.patients]
        if a.truth[w > 0].all() or not a.truth[w > 0].any():
            continue
        areas = [roc_auc_score(i.truth, i.scores, sample_weight=w) for i in (a, b)]
        f1 = [
            f1_score(i.truth, i.scores >= t, sample_weight=w, zero_division=0)
            for i, t in ((a, 0.4), (b, 0.3))
        ]
        rows.append((areas[0] - areas[1], f1[0] - f1[1]))
    (pair,) = found.pairs
    for k, metric in enumerate(("auc", "f1")):
        drawn = np.array(rows)[:, k]
        difference = pair.differences[metric]
        low, high = np.quantile(drawn, [0.025, 0.975])
        assert difference.low == pytest.approx(low, abs=1e-12)
        assert difference.high == pytest.approx(high, abs=1e-12)
        p = min(1, 2 * (min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1) / (len(drawn) + 1))
        assert difference.p_value == pytest.approx(p)
    assert pair.differences["auc"].value == pytest.approx(
        roc_auc_score(a.truth, a.scores) - roc_auc_score(b.truth, b.scores), abs=1e-12
    )


def rigged(*qualities: float) -> tuple:
    """Models whose vertebra scores are truth plus noise of the given size."""
    truth = table(60)
    rng = np.random.default_rng(0)
    models = []
    for k, noise in enumerate(qualities):
        scores = np.clip(0.5 * truth.fractured + noise * rng.random((60, 7)), 0, 1)
        models.append(replace(model("abc"[k], 60), vertebra_scores=scores))
    return models, truth


def test_best_is_marked_only_where_the_difference_is_significant():
    models, truth = rigged(0.55, 3.0, 3.0)
    thresholds = dict.fromkeys("abc", 0.5)
    found = compare_models(align(models, truth), "vertebra", thresholds, replicates=400)

    assert found.best["auc"] == "a"
    assert len(found.pairs) == 3
    p = [pair.differences["auc"].p_value for pair in found.pairs]
    assert [pair.differences["auc"].adjusted_p for pair in found.pairs] == pytest.approx(holm(p))
    assert [pair.delong_adjusted_p for pair in found.pairs] == pytest.approx(
        holm([pair.delong.p_value for pair in found.pairs])
    )
    close, truth = rigged(1.0, 1.0)
    found = compare_models(align(close, truth), "vertebra", thresholds, replicates=200)
    assert found.best["auc"] is None
    alone = compare_models(align(close[:1], truth), "vertebra", thresholds, replicates=50)
    assert alone.pairs == ()
    assert alone.best["auc"] is None


@pytest.mark.parametrize("metric", ["brier", "expected_calibration_error"])
def test_of_errors_the_lowest_is_the_best(metric):
    models, truth = rigged(0.2, 3.0, 3.0)
    # Listed in both orders: the better one is first in a pair, then second.
    for order in (models, models[::-1]):
        found = compare_models(
            align(order, truth), "vertebra", dict.fromkeys("abc", 0.5), replicates=400
        )
        assert found.best[metric] == "a"
    one, other = (align(models, truth).items(name, "vertebra") for name in "ab")
    pair = next(p for p in found.pairs if {p.first, p.second} == {"a", "b"})
    squares = [np.mean((items.scores - items.truth) ** 2) for items in (one, other)]
    assert pair.differences["brier"].value == pytest.approx(squares[1] - squares[0])


def test_scores_that_are_no_probabilities_have_no_best_brier():
    models, truth = rigged(0.55, 3.0)
    models = [replace(m, vertebra_scores=4 * m.vertebra_scores) for m in models]
    found = compare_models(
        align(models, truth), "vertebra", dict.fromkeys("ab", 2.0), replicates=200
    )
    assert found.pairs[0].differences["brier"].value is None
    assert found.best["brier"] is None
    assert found.best["auc"] == "a"


def test_one_class_has_no_difference_of_areas():
    healthy = table()
    healthy = TruthTable(
        healthy.study_ids, np.zeros_like(healthy.fractured), healthy.offsets, healthy.presence
    )
    evaluated = align([model("a"), model("b", seed=1)], healthy)
    found = compare_models(evaluated, "patient", {"a": 0.5, "b": 0.5}, replicates=30)

    difference = found.pairs[0].differences["auc"]
    assert difference.value is None
    assert difference.adjusted_p is None
    assert found.pairs[0].delong is None
    assert found.best["auc"] is None


def test_a_model_without_a_threshold_is_named():
    with pytest.raises(PredictionsError, match="b has no threshold"):
        compare_models(cohort(12, models=2), "patient", {"a": 0.5})


def test_settings_are_compared_with_the_first_on_the_same_draws():
    evaluated = cohort(12, models=2)
    items = {name: evaluated.items(name, "vertebra") for name in ("a", "b")}
    asked = [("A", "a", 0.4), ("same", "a", 0.4), ("high", "a", 0.7), ("other", "b", 0.4)]
    made = [Setting(label, items[m], items[m].scores, at) for label, m, at in asked]
    found = compare_settings(made, metrics=["recall", "f1"], replicates=200)

    assert [pair.first for pair in found] == ["same", "high", "other"]
    assert {pair.second for pair in found} == {"A"}
    assert found[0].differences["recall"].value == 0
    assert (found[0].differences["f1"].low, found[0].differences["f1"].high) == (0, 0)
    truth, scores = items["a"].truth, items["a"].scores
    lost = f1_score(truth, scores >= 0.7) - f1_score(truth, scores >= 0.4)
    assert found[1].differences["f1"].value == pytest.approx(lost, abs=1e-12)
    models = compare_models(
        evaluated, "vertebra", {"a": 0.4, "b": 0.4}, metrics=["recall", "f1"], replicates=200
    ).pairs[0]
    for metric in ("recall", "f1"):
        one, pair = found[2].differences[metric], models.differences[metric]
        assert one.value == -pair.value
        assert (one.low, one.high) == pytest.approx((-pair.high, -pair.low), abs=1e-12)

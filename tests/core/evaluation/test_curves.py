from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from core.errors import PredictionsError
from core.evaluation.bands import curve_bands
from core.evaluation.curves import curve_points, threshold_counts
from core.evaluation.decision_curve import decision_curve
from core.evaluation.resampling import resample_patients
from core.evaluation.tables.evaluation_set import LevelItems
from tests.core.evaluation.counting import counted


@st.composite
def scored(draw, low: float = 0.0, high: float = 1.0):
    """Scores with ties between `low` and `high`, and truth of both classes."""
    n, grid = draw(st.integers(2, 60)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    truth = rng.random(n) < 0.4
    truth[:2] = [True, False]
    return low + (high - low) * rng.integers(0, grid + 1, n) / grid, truth


@pytest.mark.slow
@settings(deadline=None, max_examples=80)
@given(st.one_of(scored(), scored(-3.0, 5.0)))
def test_both_curves_agree_with_scikit_learn(case):
    scores, truth = case
    ours = threshold_counts(scores, truth)
    fpr, tpr, thresholds = oracle.roc_curve(truth, scores, drop_intermediate=False)
    assert np.array_equal(ours.thresholds, thresholds[1:])
    assert ours.recall() == pytest.approx(tpr[1:], abs=1e-12)
    assert ours.false_positive_rate() == pytest.approx(fpr[1:], abs=1e-12)
    precision, recall, _ = oracle.precision_recall_curve(truth, scores)
    assert ours.precision()[::-1] == pytest.approx(precision[:-1], abs=1e-12)
    assert ours.recall()[::-1] == pytest.approx(recall[:-1], abs=1e-12)
    f1 = [oracle.f1_score(truth, scores >= t) for t in ours.thresholds]
    assert ours.f1() == pytest.approx(f1, abs=1e-12)
    assert ours.auc() == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)
    area = oracle.average_precision_score(truth, scores)
    assert ours.average_precision() == pytest.approx(area, abs=1e-12)


@settings(deadline=None, max_examples=80)
@given(scored(), st.floats(-0.2, 1.2))
def test_a_threshold_between_scores_counts_as_counting_does(case, threshold):
    scores, truth = case
    curve = threshold_counts(scores, truth)

    for asked in (threshold, *scores[:3]):
        assert curve.at(asked) == counted(scores, truth, asked)
    assert curve.at(np.inf).true_positives == 0
    assert curve.at(-np.inf).false_positives == curve.n_negative


@settings(deadline=None, max_examples=80)
@given(scored(), st.floats(-0.2, 1.2))
def test_sorted_scores_count_as_the_curve_does(case, threshold):
    scores, truth = case
    curve = threshold_counts(scores, truth)
    kept = curve.sorted_scores()

    assert np.array_equal(kept.positives, np.sort(scores[truth]))
    assert np.array_equal(kept.negatives, np.sort(scores[~truth]))
    for asked in (threshold, *scores[:3], np.inf, -np.inf):
        assert kept.at(asked) == counted(scores, truth, asked)
    with pytest.raises(PredictionsError, match="NaN"):
        kept.at(np.nan)


@settings(deadline=None)
@given(scored(), st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=5))
def test_several_thresholds_are_counted_as_one_by_one(case, thresholds):
    scores, truth = case
    falling = np.sort([*thresholds, *scores[:3], np.inf, -np.inf])[::-1]
    curve = threshold_counts(scores, truth)
    for found in (curve.at_each(falling), curve.sorted_scores().at_each(falling)):
        assert (found.n_positive, found.n_negative) == (truth.sum(), (~truth).sum())
        for place, threshold in enumerate(falling):
            expected = curve.at(threshold)
            assert found.true_positives[place] == expected.true_positives
            assert found.false_positives[place] == expected.false_positives


def test_packed_scores_keep_every_bit_and_both_zeros_are_one():
    scores = np.array([0.5, np.nextafter(0.5, 1), 0.0, -0.0, 5e-324, np.nextafter(2, 0)])
    truth = [1, 0, 1, 0, 1, 0]
    curve = threshold_counts(scores, truth)

    assert curve.thresholds.tolist() == sorted({*scores.tolist()}, reverse=True)
    assert curve.true_positives.tolist() == [0, 0, 1, 2, 3]
    assert curve.false_positives.tolist() == [1, 2, 2, 2, 3]


def test_thinned_curves_keep_exact_points_and_both_ends():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.05
    curve = threshold_counts(rng.normal(0, 1, 20_000) + truth, truth)
    points = curve_points(curve, 400)

    assert len(points.thresholds) <= 402
    assert points.thresholds[0] == np.inf
    recall, rate, precision = points.recall(), points.false_positive_rate(), points.precision()
    assert (recall[0], rate[0], precision[0]) == (0, 0, 1)
    assert (recall[-1], rate[-1]) == (1, 1)
    for k in range(1, len(points.thresholds), 17):
        counts = curve.at(points.thresholds[k])
        assert points.true_positives[k] == counts.true_positives
        assert precision[k] == pytest.approx(counts.precision, abs=1e-12)
        assert points.f1()[k] == pytest.approx(counts.f1, abs=1e-12)
    drawn = np.trapezoid(recall, rate)
    assert drawn == pytest.approx(curve.auc(), abs=1e-3)


def test_one_class_has_no_areas_and_still_counts():
    curve = threshold_counts([0.2, 0.8], [1, 1])

    assert curve.one_class
    assert curve.auc() is None
    assert curve.average_precision() is None
    assert curve.false_positive_rate().tolist() == [0, 0]
    with pytest.raises(PredictionsError, match="threshold is NaN"):
        curve.at(float("nan"))


@settings(deadline=None, max_examples=30)
@given(scored())
def test_net_benefit_is_that_of_its_definition(case):
    scores, truth = case
    found = decision_curve(threshold_counts(scores, truth), np.array([0.1, 0.5, 0.8]))
    for p_t, ours, everyone in zip(found.thresholds, found.model, found.treat_all, strict=True):
        called, odds = scores >= p_t, p_t / (1 - p_t)
        wanted = (called & truth).mean() - (called & ~truth).mean() * odds
        assert ours == pytest.approx(wanted, abs=1e-12)
        assert everyone == pytest.approx(truth.mean() - (~truth).mean() * odds, abs=1e-12)
    assert found.prevalence == truth.mean()


def test_net_benefit_needs_odds():
    curve = threshold_counts([0.2, 0.8], [0, 1])
    assert len(decision_curve(curve).thresholds) == 99
    with pytest.raises(PredictionsError, match="above 0 and below 1"):
        decision_curve(curve, np.array([0.5, 1.0]))


def items(scores, truth, patients) -> LevelItems:
    n = len(scores)
    return LevelItems(
        np.asarray(scores, float), np.asarray(truth, bool), np.asarray(patients),
        np.full(n, -1, np.int8), np.full(n, -1, np.int32),
    )  # fmt: skip


def test_bands_equal_curves_of_the_same_draws():
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(15), 4)
    truth = rng.random(60) < 0.4
    scores = np.round(0.6 * rng.random(60) + 0.4 * truth, 2)
    band = curve_bands(items(scores, truth, patients), replicates=60, seed=5, points=11)

    roc, precisions = [], []
    for draws in resample_patients(15, 60, 5):
        w = draws[patients]
        if not w[truth].any() or not w[~truth].any():
            continue
        fpr, tpr, _ = oracle.roc_curve(truth, scores, sample_weight=w, drop_intermediate=False)
        roc.append(np.interp(band.grid, fpr, tpr))
        at = np.unique(scores)[::-1]
        found = np.array([w[truth & (scores >= t)].sum() for t in at])
        called = np.array([w[scores >= t].sum() for t in at])
        reached = [max(np.argmax(found > 0), np.argmax(found / found[-1] >= g)) for g in band.grid]
        precisions.append((found / np.maximum(called, 1))[reached])
    low, high = np.quantile(roc, [0.025, 0.975], axis=0)
    assert band.roc[0] == pytest.approx(low, abs=1e-12)
    assert band.roc[1] == pytest.approx(high, abs=1e-12)
    low, high = np.quantile(precisions, [0.025, 0.975], axis=0)
    assert band.precision[0] == pytest.approx(low, abs=1e-12)
    assert band.precision[1] == pytest.approx(high, abs=1e-12)


def test_bands_need_both_classes_and_two_patients():
    assert curve_bands(items([0.1, 0.2], [1, 1], [0, 1])) is None
    assert curve_bands(items([0.1, 0.2], [0, 1], [0, 0])) is None

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from core.errors import PredictionsError
from core.evaluation.curves import threshold_counts
from core.evaluation.metrics import binary_metrics
from tests.core.evaluation.counting import counted


@st.composite
def scored(draw, *, both_classes: bool = True):
    """Scores with many ties, truth, and a threshold that may hit a score."""
    n = draw(st.integers(2, 60))
    grid = draw(st.integers(1, 12))
    scores = [draw(st.integers(0, grid)) / grid for _ in range(n)]
    truth = [draw(st.booleans()) for _ in range(n)]
    if both_classes:
        truth[:2] = [True, False]
    return np.array(scores), np.array(truth), draw(st.integers(0, grid)) / grid


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(scored())
def test_every_metric_agrees_with_scikit_learn(case):
    scores, truth, threshold = case
    called = scores >= threshold
    ours = binary_metrics(scores, truth, threshold)
    counts = ours.counts

    negatives, positives = oracle.confusion_matrix(truth, called, labels=[False, True])
    assert (counts.true_negatives, counts.false_positives) == tuple(negatives)
    assert (counts.false_negatives, counts.true_positives) == tuple(positives)
    expected = {
        "accuracy": oracle.accuracy_score(truth, called),
        "precision": oracle.precision_score(truth, called, zero_division=0),
        "recall": oracle.recall_score(truth, called),
        "specificity": oracle.recall_score(truth, called, pos_label=False),
        "f1": oracle.f1_score(truth, called),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
    }
    for name, value in expected.items():
        assert getattr(counts, name) == pytest.approx(value, abs=1e-12), name
    assert ours.auc == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)
    assert ours.average_precision == pytest.approx(
        oracle.average_precision_score(truth, scores), abs=1e-12
    )
    assert ours.undefined is None


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(scored())
def test_auc_and_ap_depend_on_the_order_of_scores_only(case):
    scores, truth, _ = case
    bent = np.exp(3 * scores) - 7

    ours, theirs = threshold_counts(bent, truth), threshold_counts(scores, truth)

    assert ours.auc() == theirs.auc()
    assert ours.average_precision() == theirs.average_precision()


@settings(deadline=None, max_examples=60)
@given(scored())
def test_auc_of_swapped_classes_is_the_complement(case):
    scores, truth, _ = case
    swapped = threshold_counts(scores, ~truth).auc()
    straight = threshold_counts(scores, truth).auc()

    assert swapped is not None
    assert straight is not None
    assert swapped == pytest.approx(1 - straight, abs=1e-12)


def test_large_float32_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.1
    scores = (rng.random(20_000) + 0.3 * truth).astype(np.float32)

    counts = threshold_counts(scores, truth)

    assert counts.auc() == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)
    assert counts.average_precision() == pytest.approx(
        oracle.average_precision_score(truth, scores), abs=1e-12
    )


def test_a_score_equal_to_the_threshold_is_a_call():
    assert binary_metrics([0.5], [1], 0.5).counts.true_positives == 1
    assert binary_metrics([0.5], [1], np.nextafter(0.5, 1)).counts.false_negatives == 1


def test_all_scores_tied_gives_auc_one_half_and_ap_equal_to_prevalence():
    assert threshold_counts([0.3] * 4, [1, 0, 0, 0]).auc() == 0.5
    assert threshold_counts([0.3] * 4, [1, 0, 0, 0]).average_precision() == 0.25


def test_no_call_gives_precision_zero():
    counts = binary_metrics([0.1, 0.2], [1, 0], 0.9).counts

    assert (counts.precision, counts.recall, counts.f1) == (0.0, 0.0, 0.0)
    assert counts.balanced_accuracy == 0.5


@pytest.mark.parametrize(("label", "word"), [(0, "negative"), (1, "positive")])
def test_one_class_has_no_auc_and_says_why(label, word):
    result = binary_metrics([0.2, 0.8], [label, label], 0.5)

    assert result.auc is None
    assert result.average_precision is None
    assert result.undefined == f"all 2 items are {word}; AUC and AP need both classes"
    assert result.counts.accuracy == 0.5
    assert result.counts.balanced_accuracy == 0.5


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([], [], "no score"),
        ([0.1, np.nan], [0, 1], "NaN or infinite"),
        ([0.1, np.inf], [0, 1], "NaN or infinite"),
        ([0.1, 0.2], [0], "do not match"),
        ([[0.1], [0.2]], [0, 1], "do not match"),
        ([0.1, 0.2], [0, 2], "neither 0 nor 1"),
        ([0.1, 0.2], [0.0, np.nan], "neither 0 nor 1"),
    ],
)
def test_unusable_input_is_named(scores, truth, message):
    with pytest.raises(PredictionsError, match=message):
        threshold_counts(scores, truth)
    with pytest.raises(PredictionsError, match=message):
        binary_metrics(scores, truth, 0.5)


def test_a_nan_threshold_is_refused():
    with pytest.raises(PredictionsError, match="threshold is NaN"):
        binary_metrics([0.1, 0.2], [0, 1], float("nan"))


@settings(deadline=None, max_examples=60)
@given(scored(both_classes=False))
def test_counts_at_every_threshold_agree_with_counting_at_each(case):
    scores, truth, _ = case
    curve = threshold_counts(scores, truth)

    assert curve.thresholds.tolist() == sorted(set(scores.tolist()), reverse=True)
    for place, threshold in enumerate(curve.thresholds):
        counts = counted(scores, truth, float(threshold))
        assert curve.true_positives[place] == counts.true_positives
        assert curve.false_positives[place] == counts.false_positives
    assert (curve.n_positive, curve.n_negative) == (truth.sum(), (~truth).sum())


@settings(deadline=None, max_examples=60)
@given(scored(both_classes=False))
def test_counts_at_a_threshold_agree_with_scikit_learn(case):
    scores, truth, threshold = case
    counts = binary_metrics(scores, truth, threshold).counts
    negatives, positives = oracle.confusion_matrix(truth, scores >= threshold, labels=[False, True])
    assert (counts.true_negatives, counts.false_positives) == tuple(negatives)
    assert (counts.false_negatives, counts.true_positives) == tuple(positives)


@pytest.mark.parametrize(
    ("scores", "calibrated"),
    [
        ([0.0, 1.0], True), ([0.0, 0.5], True), ([0.5, 1.0], True),
        ([-0.1, 0.5], False), ([0.5, 1.1], False),
    ],
)  # fmt: skip
def test_only_probabilities_are_calibrated(scores, calibrated):
    found = binary_metrics(scores, [0, 1], 0.5)
    assert (found.brier is not None) == calibrated
    assert (found.expected_calibration_error is not None) == calibrated

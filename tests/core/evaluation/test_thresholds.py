from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from core.errors import PredictionsError
from core.evaluation.curves import threshold_counts
from core.evaluation.thresholds import Rule, choose_threshold


def highest_f1(scores, truth):
    return choose_threshold(threshold_counts(scores, truth), Rule("highest F1"))


def f1_at(point, scores, truth):
    return threshold_counts(scores, truth).at(point.threshold).f1


def highest_youden(scores, truth):
    return choose_threshold(threshold_counts(scores, truth), Rule("highest Youden index"))


def test_highest_f1_takes_the_best_cut():
    # Cuts falling: 0.9 -> tp 1 fp 0, F1 2/3; 0.6 -> tp 1 fp 1, 1/2; 0.4 -> tp 2 fp 1, 4/5.
    scores, truth = [0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0]
    point = highest_f1(scores, truth)

    assert (point.threshold, point.rule) == (0.4, "highest F1")
    assert f1_at(point, scores, truth) == pytest.approx(4 / 5)


def test_among_equal_f1_the_highest_score_wins():
    # 0.9 -> tp 1 fp 0 of 2: F1 2/3; 0.2 -> tp 2 fp 2: 4/6, the same.
    assert highest_f1([0.9, 0.5, 0.4, 0.2], [1, 0, 0, 1]).threshold == 0.9


def test_among_equal_youden_indices_the_highest_score_wins():
    # Three of three positives against one of three negatives each: 1/3 at 0.9 and again at 0.5.
    point = highest_youden([0.9, 0.8, 0.5, 0.4, 0.3, 0.2], [1, 0, 1, 0, 1, 0])

    assert point.threshold == 0.9


def test_tied_scores_are_called_together():
    # The cut cannot separate the tie at 0.5: tp 1 fp 1.
    scores, truth = [0.5, 0.5, 0.1], [1, 0, 0]
    point = highest_f1(scores, truth)

    assert point.threshold == 0.5
    assert f1_at(point, scores, truth) == pytest.approx(2 / 3)


def test_useless_scores_have_one_threshold_to_choose():
    assert highest_youden([0.5, 0.5], [1, 0]).threshold == 0.5


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_no_other_cut_is_better(items):
    scores = np.array([score / 9 for score, _ in items] + [0.2, 0.7])
    truth = np.array([label for _, label in items] + [True, False])
    f1, youden = highest_f1(scores, truth), highest_youden(scores, truth)

    best_f1 = max(f1_score(truth, scores >= cut) for cut in scores)
    best_youden = max(2 * balanced_accuracy_score(truth, scores >= cut) - 1 for cut in scores)
    assert f1_at(f1, scores, truth) == pytest.approx(best_f1, abs=1e-12)
    assert f1_score(truth, scores >= f1.threshold) == pytest.approx(best_f1, abs=1e-12)
    assert 2 * balanced_accuracy_score(truth, scores >= youden.threshold) - 1 == pytest.approx(
        best_youden, abs=1e-12
    )


def test_a_missing_class_is_refused():
    with pytest.raises(PredictionsError, match="No item is positive"):
        highest_f1([0.1, 0.2], [0, 0])
    with pytest.raises(PredictionsError, match="both classes"):
        highest_youden([0.1, 0.2], [1, 1])


def test_all_positive_still_has_a_highest_f1():
    point = highest_f1([0.1, 0.2], [1, 1])

    assert point.threshold == 0.1

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from core.errors import PredictionsError
from core.evaluation.confusion import ConfusionCounts

COUNTS = st.integers(0, 30)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_mcc_and_predictive_values_agree_with_scikit_learn(tp, fp, tn, fn):
    if tp + fp + tn + fn == 0:
        return
    truth = np.repeat([1, 0, 0, 1], [tp, fp, tn, fn])
    called = np.repeat([1, 1, 0, 0], [tp, fp, tn, fn])
    counts = ConfusionCounts(tp, fp, tn, fn)

    assert counts.mcc == pytest.approx(oracle.matthews_corrcoef(truth, called), abs=1e-12)
    npv = oracle.precision_score(1 - truth, 1 - called, zero_division=0)
    assert counts.negative_predictive_value == pytest.approx(npv, abs=1e-12)
    if 0 < tp + fn < counts.n:
        own = counts.n_positive / counts.n
        assert counts.ppv_at(own) == pytest.approx(counts.precision, abs=1e-12)
        assert counts.npv_at(own) == pytest.approx(npv, abs=1e-12)


def test_predictive_values_at_another_prevalence_by_hand():
    # Sensitivity 0.9, specificity 0.8; of 1000 with 10 ill: 9 of 207 calls, 792 of 793 spared.
    counts = ConfusionCounts(90, 20, 80, 10)

    assert counts.ppv_at(0.01) == pytest.approx(9 / 207, abs=1e-12)
    assert counts.npv_at(0.01) == pytest.approx(792 / 793, abs=1e-12)
    assert counts.ppv_at(0.0) == 0.0


def test_nothing_counted_is_zero_and_a_prevalence_must_be_a_share():
    empty = ConfusionCounts(0, 0, 0, 0)

    assert (empty.accuracy, empty.mcc, empty.f1, empty.balanced_accuracy) == (0, 0, 0, 0)
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(PredictionsError, match=r"outside \[0, 1\]"):
            empty.ppv_at(wrong)
        with pytest.raises(PredictionsError, match=r"outside \[0, 1\]"):
            empty.npv_at(wrong)


def test_certain_disease_has_no_false_call():
    counts = ConfusionCounts(
        true_positives=3, false_positives=5, true_negatives=7, false_negatives=2
    )
    assert counts.ppv_at(1.0) == 1.0
    assert counts.npv_at(1.0) == 0.0

"""Balanced sampling must not leave its prior in the probabilities."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from core.models.heads import prelu_head
from core.training.prior import prior_shift, shift_logit


def test_the_shift_is_the_log_odds_of_the_cohort():
    assert prior_shift(np.array([1, 0, 0, 0], dtype=bool)) == pytest.approx(math.log(1 / 3))
    assert prior_shift(np.array([[1.0], [0.0]], dtype=np.float32)) == 0


def test_a_balanced_fit_with_the_shift_is_calibrated_on_the_whole_cohort():
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=60_000) < 0.1
    feature = rng.normal(truth * 1.5, 1.0)[:, None]
    negatives = rng.choice(np.flatnonzero(~truth), truth.sum(), replace=False)
    drawn = np.concatenate([np.flatnonzero(truth), negatives])
    fit = LogisticRegression(C=np.inf).fit(feature[drawn], truth[drawn])
    logit = fit.decision_function(feature) + prior_shift(truth)
    assert (1 / (1 + np.exp(-logit))).mean() == pytest.approx(truth.mean(), abs=0.004)


def test_only_the_logit_moves_and_the_order_stays():
    head = prelu_head(8, 1).eval()
    features = torch.randn(16, 8)
    before = head(features)
    shift_logit(head, -1.5)
    assert torch.allclose(head(features), before - 1.5)


def test_a_single_class_and_a_head_of_seven_are_refused():
    with pytest.raises(ValueError, match="single class"):
        prior_shift(np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="single logit"):
        shift_logit(nn.Sequential(nn.Linear(4, 7)), 1.0)

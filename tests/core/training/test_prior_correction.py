"""Balanced sampling must not leave its prior in the probabilities."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from core.models.registry import build_model
from core.training.prior_correction import prior_shifts, shift_logits


def test_the_shift_of_a_single_output_is_the_log_odds_of_the_cohort():
    for truth, expected in (([1, 0, 0, 0], math.log(1 / 3)), ([1, 0], 0.0)):
        positive = np.array(truth, dtype=bool)
        assert prior_shifts(positive[:, None], positive) == pytest.approx(expected)


def test_a_balanced_fit_with_the_shift_is_calibrated_on_the_whole_cohort():
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=60_000) < 0.1
    feature = rng.normal(truth * 1.5, 1.0)[:, None]
    negatives = rng.choice(np.flatnonzero(~truth), truth.sum(), replace=False)
    drawn = np.concatenate([np.flatnonzero(truth), negatives])
    fit = LogisticRegression(C=np.inf).fit(feature[drawn], truth[drawn])
    logit = fit.decision_function(feature) + prior_shifts(truth[:, None], truth)[0]
    assert (1 / (1 + np.exp(-logit))).mean() == pytest.approx(truth.mean(), abs=0.004)


def test_each_output_moves_from_its_rate_in_the_draw_to_its_rate_in_the_cohort():
    targets = np.array([[1, 0], [1, 1], [0, 1], [0, 1], [0, 0], [0, 1], [0, 1], [0, 1]], dtype=bool)
    positive = np.array([1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    # In the cohort 2/8 and 6/8; in a balanced draw (2/2 + 0/6)/2 and (1/2 + 5/6)/2 = 2/3.
    expected = [math.log((1 / 3) / 1), math.log((3 / 1) / 2)]
    assert prior_shifts(targets, positive) == pytest.approx(expected)


def test_an_output_that_never_or_always_occurs_keeps_its_logit():
    targets = np.array([[0, 1.0], [0, 1.0], [0, 1.0]], dtype=np.float32)
    assert prior_shifts(targets, np.array([True, False, False])).tolist() == [0.0, 0.0]


def test_shifts_need_both_classes():
    for positive in (np.ones(3, dtype=bool), np.zeros(3, dtype=bool)):
        with pytest.raises(ValueError, match="single class"):
            prior_shifts(np.zeros((3, 7)), positive)


def test_fourteen_logits_move_each_by_its_own_shift():
    model = build_model("fracture", 3, "mobilenet_v3_large").eval()
    images = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    shifts = np.linspace(-2, 1, 14)
    with torch.inference_mode():
        before = model(images)
        shift_logits(model.output_layers, shifts)
        moved = model(images) - before
    assert moved.numpy() == pytest.approx(np.tile(shifts, (2, 1)), abs=1e-4)
    with pytest.raises(ValueError, match="14 logits"):
        shift_logits(model.output_layers, shifts[:7])

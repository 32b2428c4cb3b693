from __future__ import annotations

from math import log

import numpy as np
import pytest
from sklearn.metrics import log_loss

from core.errors import PredictionsError
from core.evaluation.competition import competition_loss


def test_two_studies_follow_the_hand_worked_figures():
    # Study A: C1 fractured. Weights: patient 14, C1 2, C2..C7 1 each: sum 22.
    #   p = 1/2, p_C1 = 1/4, others 1/2:
    #   loss = 14 ln 2 + 2 ln 4 + 6 ln 2 = (14 + 4 + 6) ln 2 = 24 ln 2;  24/22 ln 2
    # Study B: none. Weights: patient 7, C1..C7 1 each: sum 14. All 3/4: every BCE is ln 4 = 2 ln 2:
    #   loss = 28 ln 2;  2 ln 2
    # Mean over studies: (12/11 + 2)/2 ln 2 = 17/11 ln 2; over all weights: 52/36 ln 2 = 13/9 ln 2.
    vertebrae = np.array([[0.25] + [0.5] * 6, [0.75] * 7])
    fractured = np.array([[1, 0, 0, 0, 0, 0, 0], [0] * 7])
    loss = competition_loss([0.5, 0.75], vertebrae, fractured)

    assert loss.per_study_mean == pytest.approx(17 / 11 * log(2), abs=1e-14)
    assert loss.global_mean == pytest.approx(13 / 9 * log(2), abs=1e-14)


def test_it_agrees_with_weighted_log_loss_of_scikit_learn():
    rng = np.random.default_rng(5)
    fractured = rng.random((30, 7)) < 0.2
    p, p_j = rng.random(30), rng.random((30, 7))
    probs = np.column_stack([p, p_j])
    truth = np.column_stack([fractured.any(axis=1), fractured])
    weights = np.where(truth, 2.0, 1.0)
    weights[:, 0] *= 7
    loss = competition_loss(p, p_j, fractured)

    studies = [
        log_loss(truth[row], probs[row], sample_weight=weights[row], labels=[False, True])
        for row in range(30)
    ]
    assert loss.per_study_mean == pytest.approx(np.mean(studies), abs=1e-12)
    assert loss.global_mean == pytest.approx(
        log_loss(truth.ravel(), probs.ravel(), sample_weight=weights.ravel()), abs=1e-12
    )


def test_certain_and_wrong_is_clipped_to_a_finite_loss():
    loss = competition_loss([1.0], np.ones((1, 7)), np.zeros((1, 7)))

    assert loss.per_study_mean == pytest.approx(-log(1e-15), rel=1e-3)


def test_certain_and_right_costs_nothing():
    fractured = np.array([[1, 0, 0, 0, 0, 0, 1]])

    assert competition_loss([1.0], fractured, fractured).per_study_mean == pytest.approx(
        0, abs=1e-14
    )


@pytest.mark.parametrize(
    ("p", "p_j", "fractured", "message"),
    [
        ([], np.zeros((0, 7)), np.zeros((0, 7)), "shapes"),
        ([0.1], np.zeros((1, 6)), np.zeros((1, 7)), "shapes"),
        ([0.1], np.zeros((1, 7)), np.zeros((2, 7)), "shapes"),
        ([0.1], np.full((1, 7), np.nan), np.zeros((1, 7)), "NaN"),
        ([1.5], np.zeros((1, 7)), np.zeros((1, 7)), r"outside \[0, 1\]"),
    ],
)
def test_unusable_input_is_named(p, p_j, fractured, message):
    with pytest.raises(PredictionsError, match=message):
        competition_loss(p, p_j, fractured)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from core.errors import PredictionsError
from core.evaluation.calibration import (
    reliability,
)
from core.evaluation.calibration_fits import cross_fit, fit_isotonic, fit_temperature, scale
from core.evaluation.tables.evaluation_set import LevelItems


def made(n: int = 400, seed: int = 0, temperature: float = 1.0):
    """Scores that are calibrated after division of their logits by the temperature."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.6, 1.2, n).clip(1e-4, 1 - 1e-4)
    return expit(logit(p) * temperature), rng.random(n) < p


def level_items(scores, truth, patients) -> LevelItems:
    n = len(scores)
    return LevelItems(
        np.asarray(scores), np.asarray(truth), np.asarray(patients), np.full(n, -1, np.int8),
        np.full(n, -1, np.int32),
    )  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30), st.integers(0, 1000))
def test_reliability_agrees_with_scikit_learn(n, bins, grid, seed):
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, grid + 1, n) / grid, rng.random(n) < 0.4
    truth[: n // 2] = True
    share, mean = calibration_curve(truth, scores, n_bins=bins)
    ours = reliability(scores, truth, bins=bins)

    assert ours.positive_share == pytest.approx(share, abs=1e-12)
    assert ours.mean_score == pytest.approx(mean, abs=1e-12)
    assert ours.counts.sum() == n
    assert ours.brier == pytest.approx(brier_score_loss(truth, scores, pos_label=True), abs=1e-12)
    gaps = np.abs(share - mean)
    assert ours.expected_error == pytest.approx((gaps * ours.counts).sum() / n, abs=1e-12)


def test_bins_of_equal_count_agree_with_scikit_learn():
    scores, truth = made()
    share, mean = calibration_curve(truth, scores, n_bins=10, strategy="quantile")
    ours = reliability(scores, truth, bins=10, binning="equal count")

    assert ours.positive_share == pytest.approx(share, abs=1e-12)
    assert ours.mean_score == pytest.approx(mean, abs=1e-12)
    assert set(ours.counts.tolist()) == {40}


def test_equal_scores_make_one_bin_and_its_error_is_the_gap():
    ours = reliability([0.3] * 4, [1, 0, 0, 0], bins=5, binning="equal count")

    assert ours.counts.tolist() == [4]
    assert ours.expected_error == pytest.approx(0.05, abs=1e-12)


def test_wilson_interval_of_a_worked_case():
    # Brown, Cai and DasGupta's formula by hand for 8 of 10: 0.4902 to 0.9433.
    low, high = reliability([0.5] * 10, [1] * 8 + [0] * 2).interval
    assert (low[0], high[0]) == (
        pytest.approx(0.4901625, abs=1e-6),
        pytest.approx(0.9433178, abs=1e-6),
    )


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_is_where_the_log_loss_is_lowest(temperature):
    scores, truth = made(2000, temperature=temperature)
    scores = scores.clip(1e-6, 1 - 1e-6)
    fit = fit_temperature(scores, truth)
    best = minimize_scalar(
        lambda t: log_loss(truth, expit(logit(scores) / np.exp(t))),
        bounds=(-4, 4),
        method="bounded",
        options={"xatol": 1e-9},
    )

    assert fit == pytest.approx(np.exp(best.x), rel=1e-5)
    assert fit == pytest.approx(temperature, rel=0.2)
    assert scale(scores, fit) == pytest.approx(expit(logit(scores) / fit), abs=1e-9)


def test_a_temperature_keeps_the_order_and_survives_0_and_1():
    fit = fit_temperature([0.0, 1.0, 0.5, 1.0], [0, 1, 1, 0])

    assert np.isfinite(fit)
    assert np.all(np.diff(scale([0.0, 0.2, 0.9, 1.0], fit)) > 0)
    # Without an error, sureness has no limit but the one set.
    assert fit_temperature([0.1, 0.9], [0, 1]) == pytest.approx(1e-3)
    assert fit_temperature([0.9, 0.1], [0, 1]) == pytest.approx(1e3)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 80), st.integers(1, 20), st.integers(0, 1000))
def test_isotonic_is_the_rising_curve_of_least_squares(n, grid, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, grid + 1, n) / grid
    truth = rng.random(n) < scores
    fit = fit_isotonic(scores, truth)

    # Robertson, Wright and Dykstra, 1988: max over starts a <= k of min over ends b >= k of the
    # share of positives among scores a..b.
    knots = np.unique(scores)
    wanted = [
        max(
            min(truth[(scores >= a) & (scores <= b)].mean() for b in knots[knots >= k])
            for a in knots[knots <= k]
        )
        for k in knots
    ]
    assert fit(knots) == pytest.approx(wanted, abs=1e-12)
    assert fit([-1.0, 2.0]) == pytest.approx([wanted[0], wanted[-1]])
    between = (knots[:-1] + knots[1:]) / 2
    halfway = (np.array(wanted[:-1]) + wanted[1:]) / 2
    if len(between):
        assert fit(between) == pytest.approx(halfway, abs=1e-12)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_cross_fitting_helps_and_no_patient_sees_its_own_truth(method):
    scores, truth = made(3000, temperature=3.0)
    patients = np.arange(3000) // 5
    found = cross_fit(level_items(scores, truth, patients), method)
    assert found.after.expected_error < 0.5 * found.before.expected_error

    # Another truth of one patient moves the others' scores, not its own.
    changed = truth.copy()
    own = patients == 7
    changed[own] = [True, True, False, True, False]
    original = truth.copy()
    original[own] = [False, True, False, False, False]
    one = cross_fit(level_items(scores, original, patients), method).scores
    other = cross_fit(level_items(scores, changed, patients), method).scores
    assert np.array_equal(one[own], other[own])
    assert not np.array_equal(one, other)


def test_unusable_input_is_named():
    with pytest.raises(PredictionsError, match=r"outside \[0, 1\]"):
        reliability([1.2], [1])
    with pytest.raises(PredictionsError, match="NaN or infinite"):
        reliability([np.nan], [1])
    with pytest.raises(PredictionsError, match="0 bins"):
        reliability([0.2], [1], bins=0)
    with pytest.raises(PredictionsError, match="both classes"):
        fit_temperature([0.2, 0.3], [1, 1])
    items = level_items([0.2, 0.3, 0.4], [1, 0, 1], [0, 1, 2])
    with pytest.raises(PredictionsError, match="cannot be split into 5 folds"):
        cross_fit(items, "isotonic")
    with pytest.raises(PredictionsError, match="not a calibration method"):
        cross_fit(items, "platt")

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from core.errors import TrainingError
from core.inference import distribution
from core.inference.distribution import (
    LevelFeatures,
    fit_statistics,
    held_back_distances,
    level_features,
    limit_of,
    study_distance,
)

FEATURES = 24
MEANS = np.random.default_rng(1).normal(size=(7, FEATURES))


def studies(n, seed=0, shift=0.0):
    """Studies whose levels vary around `MEANS`, mostly in a few directions, with gaps."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(2).normal(size=(3, FEATURES))
    made = []
    for _ in range(n):
        means = MEANS + rng.normal(size=(7, 3)) @ directions
        means += 0.1 * rng.normal(size=(7, FEATURES)) + shift
        slices = rng.integers(0, 9, 7)
        slices[rng.integers(0, 7)] = 4
        made.append(LevelFeatures(np.where(slices[:, None] > 0, means, 0.0), slices))
    return made


def test_levels_are_averaged_over_the_slices_that_show_them():
    features = np.array([[1.0, 10], [3, 30], [5, 50], [100, 0]], np.float32)
    presence = np.zeros((4, 7), np.float32)
    presence[0:2, 0], presence[1:3, 1], presence[3, 2] = 0.5, 1.0, 0.49
    found = level_features(features, presence)
    np.testing.assert_array_equal(found.slices, [2, 2, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(found.means[0], [2, 20])
    np.testing.assert_allclose(found.means[1], [4, 40])
    assert not found.means[2:].any()


def test_the_distance_is_that_of_scipy_for_the_covariance_of_the_model():
    known = studies(60)
    statistics = fit_statistics(known)
    kept = statistics.components.astype(np.float64)
    covariance = statistics.rest * np.eye(FEATURES)
    covariance += kept.T @ np.diag(statistics.variances - statistics.rest) @ kept
    inverse = np.linalg.inv(covariance)
    for study in studies(5, seed=9):
        squared = [
            count * mahalanobis(study.means[j], statistics.means[j], inverse) ** 2
            for j, count in enumerate(study.slices)
            if count
        ]
        expected = np.sqrt(sum(squared) / study.slices.sum() / FEATURES)
        assert study_distance(study, statistics) == pytest.approx(expected, rel=1e-3)


def test_the_covariance_keeps_the_total_variance_of_the_studies(monkeypatch):
    monkeypatch.setattr(distribution, "COMPONENTS", 3)
    known = studies(200)
    statistics = fit_statistics(known)
    off = np.concatenate([(one.means - statistics.means)[one.slices > 0] for one in known])
    total = statistics.variances.sum() + statistics.rest * (FEATURES - 3)
    assert total == pytest.approx(off.var(axis=0, ddof=1).sum(), rel=1e-3)
    assert statistics.rest == pytest.approx(0.01, rel=0.1)


def test_studies_like_the_reference_stay_below_the_limit_and_others_exceed_it():
    reference = studies(240)
    limit = limit_of(held_back_distances(reference))
    statistics = fit_statistics(reference)
    inside = [study_distance(one, statistics) <= limit for one in studies(300, seed=5)]
    assert np.mean(inside) >= 0.96
    assert all(study_distance(one, statistics) > limit for one in studies(20, seed=6, shift=1.0))


def test_a_study_without_a_level_has_no_distance():
    nothing = LevelFeatures(np.zeros((7, FEATURES)), np.zeros(7, np.int64))
    assert study_distance(nothing, fit_statistics(studies(20))) is None


def test_held_back_studies_take_no_part_in_their_own_fit(monkeypatch):
    known, fitted = studies(20), []

    def recorded(some):
        fitted.append({id(one) for one in some})
        return fit_statistics(some)

    def distance(study, _statistics):
        assert id(study) not in fitted[-1]
        return 1.0

    monkeypatch.setattr(distribution, "fit_statistics", recorded)
    monkeypatch.setattr(distribution, "study_distance", distance)
    assert held_back_distances(known).tolist() == [1.0] * 20
    assert [len(one) for one in fitted] == [16] * 5


@pytest.mark.parametrize(
    ("n", "place"), [(10, 9), (98, 97), (99, 98), (199, 197), (240, 238), (999, 989)]
)
def test_the_limit_is_the_order_statistic_of_a_further_study(n, place):
    distances = np.random.default_rng(n).permutation(np.arange(float(n)))
    assert limit_of(distances) == place


def test_studies_that_are_all_alike_are_refused():
    one = LevelFeatures(MEANS, np.full(7, 3))
    with pytest.raises(TrainingError, match="do not differ"):
        fit_statistics([one] * 20)


def test_too_few_studies_are_refused():
    with pytest.raises(TrainingError, match="at least 10 studies"):
        held_back_distances(studies(9))
    unseen = [
        LevelFeatures(one.means, np.where(np.arange(7) == 3, 0, one.slices)) for one in studies(5)
    ]
    with pytest.raises(TrainingError, match="C1 to C7"):
        fit_statistics(unseen)

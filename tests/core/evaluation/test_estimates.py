"""Shares with intervals for few items, and for several items of one patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

from core.evaluation.delong import auc_estimate
from core.evaluation.estimates import Z_95, clustered_share
from core.evaluation.intervals import bootstrap_intervals


@pytest.mark.parametrize(("hits", "n"), [(0, 12), (1, 12), (7, 30), (30, 30), (400, 900)])
def test_with_one_item_per_patient_it_is_the_wilson_interval_of_scipy(hits, n):
    found = clustered_share(np.arange(n) < hits, np.arange(n))
    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((hits / n, low, high), abs=1e-12)


def test_items_that_repeat_their_patient_count_once():
    rng = np.random.default_rng(3)
    own = rng.random(60) < 0.3
    single = clustered_share(own, np.arange(60))
    many = clustered_share(np.repeat(own, 9), np.repeat(np.arange(60), 9))
    # n - 1 against n patients is all that differs.
    assert (many.value, many.low, many.high) == pytest.approx(
        (single.value, single.low, single.high), abs=3e-3
    )


def test_without_a_hit_every_patient_counts_once():
    found = clustered_share(np.zeros(50, bool), np.repeat(np.arange(10), 5))
    _, high = binomtest(0, 10).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((0, high), abs=1e-12)


def test_no_item_has_no_share():
    assert clustered_share(np.zeros(0, bool), np.zeros(0, int)) is None


def test_the_interval_covers_the_share_of_clustered_items():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        rates = rng.beta(2, 8, 40)
        items = rng.random((40, 8)) < rates[:, None]
        found = clustered_share(items.ravel(), np.repeat(np.arange(40), 8))
        covered += found.low <= 0.2 <= found.high
    assert 0.91 <= covered / 300 <= 0.99


def test_the_auc_is_that_of_sklearn_and_its_interval_that_of_the_bootstrap():
    rng = np.random.default_rng(5)
    truth = rng.random(400) < 0.4
    scores = rng.normal(truth * 1.2)
    found = auc_estimate(scores, truth)
    assert found.value == pytest.approx(roc_auc_score(truth, scores))
    drawn = bootstrap_intervals(
        scores, truth, np.arange(400), threshold=0, replicates=4000, metrics=("auc",)
    )["auc"]
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.008)


def test_an_auc_without_a_wrong_pair_has_no_interval_and_one_class_no_auc():
    perfect = auc_estimate([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert (perfect.value, perfect.low, perfect.high) == (1, None, None)
    assert auc_estimate([0.1, 0.2, 0.8], [0, 0, 1]) is None


def test_the_quantile_is_that_of_scipy():
    assert pytest.approx(norm.ppf(0.975)) == Z_95

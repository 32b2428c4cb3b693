"""Readers and cases at random: against published figures and against loops in plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import f
from sklearn.metrics import roc_auc_score

from core.reader_study.mrmc import ReaderFigure, auc_figure, mean_over_readers, share_figure

VAN_DYKE_AUC = np.array(
    [
        [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
        [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
    ]
)
"""Five readers, two kinds of magnetic resonance picture, 114 patients (Van Dyke et al., 1993).

These and the figures below as published with MRMCaov (Smith and Hillis) and RJafroc (Chakraborty).
"""
COV2, COV3 = 0.0003440748, 0.0002390284


def with_covariance(values, variance, covariance):
    """Figures whose errors have these variances and covariances."""
    j = len(values)
    matrix = np.full((j, j), covariance) + np.eye(j) * (variance - covariance)
    return [
        ReaderFigure(float(value), row)
        for value, row in zip(values, np.linalg.cholesky(matrix), strict=True)
    ]


def test_the_difference_of_two_treatments_has_van_dykes_published_test():
    difference = VAN_DYKE_AUC[0] - VAN_DYKE_AUC[1]
    # cov(D_j, D_k) = 2 (Cov2 - Cov3); the errors' own variance does not enter the test.
    found = mean_over_readers(with_covariance(difference, 0.002, 2 * (COV2 - COV3)))
    assert found is not None
    assert found.value == pytest.approx(-0.04380032, abs=1e-8)
    assert found.standard_error == pytest.approx(0.02074862, abs=2e-8)
    assert found.degrees == pytest.approx(15.25967, abs=2e-5)
    assert found.p_value == pytest.approx(0.05166569, abs=1e-7)
    assert (found.value / found.standard_error) ** 2 == pytest.approx(4.456319, abs=2e-5)
    quantile = np.sqrt(f.ppf(0.95, 1, 15.25967))
    half = quantile * 0.02074862
    assert (found.low, found.high) == pytest.approx(
        (-0.04380032 - half, -0.04380032 + half), abs=1e-6
    )


def made(readers=4, positives=7, negatives=9, seed=3):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.ones(positives, bool), np.zeros(negatives, bool)]
    signal = truth * 1.2 + rng.normal(0, 0.6, len(truth))
    ratings = np.clip(np.round(3 + signal + rng.normal(0, 1, (2, readers, len(truth)))), 1, 6)
    return ratings, truth


def jackknife_covariance(score, n):
    """(m, m) covariances of m figures by leaving out one case after the other, in plain loops."""
    without = []
    for left_out in range(n):
        kept = [k for k in range(n) if k != left_out]
        without.append(score(kept))
    m = len(without[0])
    mean = [sum(row[a] for row in without) / n for a in range(m)]
    return np.array(
        [
            [
                (n - 1) / n * sum((row[a] - mean[a]) * (row[b] - mean[b]) for row in without)
                for b in range(m)
            ]
            for a in range(m)
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_analysis_is_that_of_obuchowski_and_rockette_by_brute_force(seed):
    ratings, truth = made(seed=seed)
    treatments, readers, n = ratings.shape
    pairs = list(itertools.product(range(treatments), range(readers)))

    def areas(kept):
        return [float(roc_auc_score(truth[kept], ratings[i, j][kept])) for i, j in pairs]

    theta = np.array(areas(list(range(n)))).reshape(treatments, readers)
    covariance = jackknife_covariance(areas, n)
    same_treatment = [
        covariance[a, b]
        for a, b in itertools.combinations(range(len(pairs)), 2)
        if pairs[a][0] == pairs[b][0]
    ]
    neither = [
        covariance[a, b]
        for a, b in itertools.combinations(range(len(pairs)), 2)
        if pairs[a][0] != pairs[b][0] and pairs[a][1] != pairs[b][1]
    ]
    by_treatment, by_reader, whole = theta.mean(1), theta.mean(0), theta.mean()
    ms_t = readers * ((by_treatment - whole) ** 2).sum() / (treatments - 1)
    residual = theta - by_treatment[:, None] - by_reader[None] + whole
    ms_tr = (residual**2).sum() / ((treatments - 1) * (readers - 1))
    extra = max(readers * (np.mean(same_treatment) - np.mean(neither)), 0)
    degrees = (ms_tr + extra) ** 2 / (ms_tr**2 / ((treatments - 1) * (readers - 1)))
    p_value = f.sf(ms_t / (ms_tr + extra), treatments - 1, degrees)

    read = np.ones(n, bool)
    figures = [[auc_figure(ratings[i, j], truth, read) for j in range(readers)] for i in range(2)]
    assert [[one.value for one in row] for row in figures] == pytest.approx(theta)
    found = mean_over_readers([a.minus(b) for a, b in zip(*figures, strict=True)])
    assert found.value == pytest.approx(by_treatment[0] - by_treatment[1])
    assert found.degrees == pytest.approx(degrees)
    assert found.p_value == pytest.approx(p_value)

    # One treatment: (MS(R) + J Cov2) / J.
    alone = mean_over_readers(figures[0])
    first = [a for a, (i, _) in enumerate(pairs) if i == 0]
    cov2 = np.mean([covariance[a, b] for a, b in itertools.combinations(first, 2)])
    ms_r = theta[0].var(ddof=1)
    assert alone.standard_error**2 == pytest.approx(ms_r / readers + max(cov2, 0))


def test_a_share_has_the_jackknifes_variance():
    hits, among = np.array([1, 1, 0, 1, 0, 1], bool), np.array([1, 1, 1, 1, 1, 0], bool)
    figure = share_figure(hits, among)
    assert figure.value == pytest.approx(0.6)
    # Of a mean the jackknife gives exactly s² / n.
    assert (figure.influence**2).sum() == pytest.approx(hits[:5].var(ddof=1) / 5)
    assert figure.influence[5] == 0


def test_two_groups_that_swap_their_cases_count_alike_whatever_their_sizes():
    none = np.zeros(4)
    figures = [ReaderFigure(value, none) for value in (0.1, 0.2, 0.3, -0.2)]
    found = mean_over_readers(figures, groups=[0, 0, 0, 1])
    assert found.value == pytest.approx((0.2 + -0.2) / 2)
    # Spread within the groups alone, 0.01; the weights are 1/6, 1/6, 1/6 and 1/2.
    assert found.standard_error**2 == pytest.approx(0.01 * (3 / 36 + 1 / 4))
    assert found.degrees == pytest.approx(2)


def test_the_crossovers_variance_is_right_on_average():
    """120 made classes: the mean of the estimated variances is that of the estimates."""
    rng = np.random.default_rng(5)
    n, readers = 80, 6
    truth = np.tile([True, False], n // 2)
    half = np.arange(n) < n // 2
    means, variances = [], []
    for _ in range(120):
        difficulty = rng.normal(0, 0.7, n)
        skill = rng.normal(1.2, 0.3, readers)
        ratings = skill[:, None] * truth + difficulty + rng.normal(0, 1, (readers, n))
        figures, groups = [], []
        for reader in range(readers):
            group = reader % 2
            helped = half if group == 0 else ~half
            one = auc_figure(ratings[reader], truth, helped)
            figures.append(one.minus(auc_figure(ratings[reader], truth, ~helped)))
            groups.append(group)
        found = mean_over_readers(figures, groups=groups)
        means.append(found.value)
        variances.append(found.standard_error**2)
    assert abs(np.mean(means)) < 0.02
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.3)


def test_one_reader_has_the_interval_of_cases():
    ratings, truth = made(readers=1)
    figure = auc_figure(ratings[0, 0], truth, np.ones(len(truth), bool))
    found = mean_over_readers([figure], bounds=(0.0, 1.0))
    assert found.n_readers == 1
    assert found.degrees is None
    assert found.standard_error**2 == pytest.approx((figure.influence**2).sum())
    assert 0 <= found.low < found.value < found.high <= 1


def test_where_all_is_right_there_is_a_mean_without_an_interval():
    truth = np.array([1, 1, 1, 0, 0], bool)
    figures = [auc_figure(truth * 5.0, truth, np.ones(5, bool)) for _ in range(3)]
    found = mean_over_readers(figures)
    assert (found.value, found.low, found.p_value) == (1.0, None, None)


def test_one_class_has_no_area_and_one_case_of_a_class_no_interval():
    truth = np.array([1, 1, 0], bool)
    ratings = np.array([3.0, 1.0, 2.0])
    assert auc_figure(ratings, truth, np.array([1, 1, 0], bool)) is None
    figure = auc_figure(ratings, truth, np.ones(3, bool))
    assert (figure.value, figure.influence) == (0.5, None)
    assert mean_over_readers([figure, figure]).low is None
    assert share_figure(truth, np.zeros(3, bool)) is None
    assert mean_over_readers([]) is None

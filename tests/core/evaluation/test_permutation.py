"""Permutation tests against exact ones."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import hypergeom

from core.evaluation.permutation import Units, largest_p_values, permutation_p_values


def two_strata(rng, n=60):
    strata = (np.arange(n) % 3 == 0).astype(int)
    residuals = (rng.random(n) < 0.2 + 0.3 * strata).astype(float)
    return Units(residuals, strata)


def test_a_p_value_is_that_of_the_exact_test_of_one_stratum():
    """Sums of 0 and 1 over a group are hypergeometric: Fisher's exact test."""
    wrong = np.zeros(40)
    wrong[:9] = 1
    members = np.zeros((40, 1), bool)
    members[[0, 1, 2, 3, 4, 5, 20, 21, 22, 23], 0] = True
    (p_value,) = permutation_p_values(Units(wrong, np.zeros(40, int)), members,
                                      permutations=40_000, seed=0)  # fmt: skip
    counts = np.arange(11)
    odds = hypergeom(40, 9, 10).pmf(counts)
    expected = odds[np.abs(counts - 2.25) >= abs(6 - 2.25)].sum()
    assert p_value == pytest.approx(expected, rel=0.1)


def test_every_arrangement_of_a_small_case_gives_the_same_p_value():
    residuals, strata = np.array([2.0, 0, 1, 0, -1, 0.5]), np.array([0, 0, 0, 1, 1, 1])
    members = np.array([[1, 0, 0, 1, 0, 0]], bool).T
    units = Units(residuals, strata)
    sums = np.array(
        [
            residuals[list(first)][0] + residuals[[3 + k for k in second]][0]
            for first in permutations(range(3))
            for second in permutations(range(3))
        ]
    )
    np.testing.assert_allclose(units.expected(members), sums.mean())
    np.testing.assert_allclose(units.spread(members), sums.std())
    exact = (np.abs(sums - sums.mean()) >= np.abs(2.0 - sums.mean()) - 1e-9).mean()
    (p_value,) = permutation_p_values(units, members, permutations=20_000, seed=1)
    assert p_value == pytest.approx(exact, abs=0.01)


def test_residuals_stay_within_their_stratum():
    units = two_strata(np.random.default_rng(2))
    for drawn in units.exchanged(50, 0):
        for stratum in (0, 1):
            rows = units.strata == stratum
            np.testing.assert_array_equal(
                np.sort(drawn[:, rows], axis=1), np.sort(units.residuals[rows])[None].repeat(50, 0)
            )


def test_the_largest_of_one_group_is_its_own_one_sided_p_value():
    units = two_strata(np.random.default_rng(4))
    members = np.zeros((60, 1), bool)
    members[np.argsort(-units.residuals, kind="stable")[:8], 0] = True
    own = permutation_p_values(units, members, permutations=5_000, seed=0)
    largest = largest_p_values(units, members, permutations=5_000, seed=0)
    assert largest[0] <= own[0]
    assert largest[0] == pytest.approx(1 / 5_001, abs=2e-3)


def test_among_many_groups_a_p_value_is_no_smaller_than_among_few():
    rng = np.random.default_rng(6)
    units = two_strata(rng)
    many = rng.random((60, 40)) < 0.4
    few = largest_p_values(units, many[:, :5], permutations=999, seed=3)
    more = largest_p_values(units, many, permutations=999, seed=3)[:5]
    assert (more >= few).all()
    assert (more > few).any()


def test_a_group_that_never_varies_has_the_p_value_one():
    units = Units(np.zeros(10), np.zeros(10, int))
    members = np.ones((10, 1), bool)
    assert permutation_p_values(units, members, permutations=99, seed=0) == [1]
    assert largest_p_values(units, members, permutations=99, seed=0) == [1]

"""Kappa against Fleiss' own table, scikit-learn and a numerical delta method."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from core.reader_study.agreement import cohen_kappa, fleiss_kappa

FLEISS_EXAMPLE = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""Ten cases, fourteen readers, five answers; kappa is 0.210 (a worked example of the formula)."""


def test_fleiss_kappa_of_the_worked_example():
    found = fleiss_kappa(FLEISS_EXAMPLE)
    assert found.value == pytest.approx(0.20993, abs=1e-5)
    assert found.low < found.value < found.high


def test_fleiss_kappa_of_two_readers_by_hand():
    # Agreed on 3 of 4 cases; yes was said 4 of 8 times: (0.75 - 0.5) / 0.5.
    assert fleiss_kappa([[2, 0], [2, 0], [0, 2], [0, 2]]).value == pytest.approx(1.0)
    assert fleiss_kappa([[2, 0], [1, 1], [0, 2], [1, 1]]).value == pytest.approx(0.0)


def test_cases_of_unequal_numbers_of_readers_count_alike():
    # Agreement per case: 1 and (3 + 0) / 6 = 0.5; yes 5 of 7.
    chance = (5 / 7) ** 2 + (2 / 7) ** 2
    expected = ((1 + 1 / 3) / 2 - chance) / (1 - chance)
    assert fleiss_kappa([[3, 0], [2, 2], [0, 1]]).value == pytest.approx(expected)


def test_without_two_answers_chance_and_agreement_are_the_same():
    assert fleiss_kappa([[3, 0], [3, 0]]) is None
    assert fleiss_kappa([[3, 0]]) is None
    assert fleiss_kappa([]) is None
    assert cohen_kappa([True, True], [True, True]) is None
    assert cohen_kappa([], []) is None


@pytest.mark.parametrize("seed", range(4))
def test_cohens_kappa_and_its_error(seed):
    rng = np.random.default_rng(seed)
    first = rng.random(60) < 0.4
    second = np.where(rng.random(60) < 0.75, first, rng.random(60) < 0.5)
    found = cohen_kappa(first, second)
    assert found.value == pytest.approx(cohen_kappa_score(first, second))

    def kappa(p):
        table = p.reshape(2, 2)
        chance = table.sum(1) @ table.sum(0)
        return (np.trace(table) - chance) / (1 - chance)

    p = np.bincount(2 * first.astype(int) + second, minlength=4) / 60
    steps = 1e-6 * np.eye(4)
    slope = np.array([(kappa(p + d) - kappa(p - d)) / 2e-6 for d in steps])
    variance = (slope**2 @ p - (slope @ p) ** 2) / 60
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-4)


def test_perfect_agreement_has_no_interval():
    found = cohen_kappa([True, False, True], [True, False, True])
    assert (found.value, found.low) == (1.0, None)

"""Fractures meet in patients as often as in the real set, and neighbours break together."""

import numpy as np
import pytest
from scipy.stats import chisquare

from core.constants import VERTEBRAE
from core.phantom.anatomy import sample_anatomy
from core.phantom.prevalence import (
    N_POSITIVE,
    PATIENT_PREVALENCE,
    VERTEBRA_COUNTS,
    count_distribution,
    level_sets,
    sample_fractures,
    sample_levels,
)

REAL_COUNTS = (146, 285, 73, 108, 162, 277, 393)
PERSON = sample_anatomy(np.random.default_rng(0))


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(7)
    draws = [sample_levels(rng) for _ in range(20_000)]
    return np.array([[name in names for name in VERTEBRAE] for names in draws])


def test_the_fitted_sets_keep_each_vertebras_share_of_the_positive_patients():
    sets, p = level_sets()
    assert sets.shape == (127, 7)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert (p >= 0).all()
    np.testing.assert_allclose(p @ sets * N_POSITIVE, REAL_COUNTS, atol=1e-6)
    assert VERTEBRA_COUNTS == REAL_COUNTS


def test_the_number_of_fractured_vertebrae_falls_and_has_the_real_mean():
    counts = count_distribution()
    sets, p = level_sets()
    assert counts @ np.arange(1, len(counts) + 1) == pytest.approx(1444 / 961, abs=1e-9)
    assert (np.diff(counts) < 0).all()
    found = np.bincount(sets.sum(1), weights=p, minlength=8)
    np.testing.assert_allclose(found[1:6], counts, atol=1e-9)
    assert found[[0, 6, 7]].sum() == 0


def test_a_large_sample_matches_the_shares_and_the_counts(drawn):
    n = len(drawn)
    share = np.array(REAL_COUNTS) / 961
    z = (drawn.sum(0) - n * share) / np.sqrt(n * share * (1 - share))
    assert (np.abs(z) < 4).all()
    found = np.bincount(drawn.sum(1), minlength=6)[1:6]
    assert chisquare(found, n * count_distribution()).pvalue > 1e-4


def test_neighbours_break_together_as_often_as_reported(drawn):
    c6, c7 = drawn[:, 5], drawn[:, 6]
    assert c7[c6].mean() == pytest.approx(0.5, abs=0.04)
    assert c7[c6].mean() > c7[~c6].mean()
    several = drawn[drawn.sum(1) > 1]
    runs = np.diff(np.pad(several.astype(int), ((0, 0), (1, 1))), axis=1)
    skipping = (runs == 1).sum(1) > 1
    assert skipping.mean() == pytest.approx(0.313, abs=0.03)


def test_half_of_the_patients_are_whole_and_no_vertebra_breaks_twice():
    rng = np.random.default_rng(0)
    draws = [sample_fractures(rng, PERSON) for _ in range(2500)]
    assert np.mean([bool(d) for d in draws]) == pytest.approx(0.476, abs=0.035)
    assert pytest.approx(961 / 2019) == PATIENT_PREVALENCE
    for fractures in draws:
        names = [f.vertebra for f in fractures]
        assert names == sorted(set(names))


def test_the_same_seed_breaks_the_same_bones():
    def draw(seed):
        rng = np.random.default_rng(seed)
        return [
            (f.vertebra, f.kind, f.gap_mm, f.displacement_mm, f.swelling_mm)
            for _ in range(40)
            for f in sample_fractures(rng, PERSON)
        ]

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_fractures_take_their_persons_size():
    rng = np.random.default_rng(2)
    anatomy = sample_anatomy(rng)
    found = [f for _ in range(30) for f in sample_fractures(rng, anatomy)]
    assert found
    assert {f.scale for f in found} == {anatomy.scale}

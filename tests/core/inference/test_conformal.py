from __future__ import annotations

import numpy as np
import pytest

from core.errors import TrainingError
from core.inference.conformal import covered, fit_region


def p_value(prob, others, *, fractured):
    """Conformal p-value, counted one by one."""
    unusual = others <= prob if fractured else others >= prob
    return (1 + int(unusual.sum())) / (1 + len(others))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("n", [6, 9, 10, 57, 240])
def test_an_answer_is_in_the_region_where_its_p_value_exceeds_one_minus_coverage(n, coverage):
    rng = np.random.default_rng(n)
    fractured = np.arange(n) % 2 == 0
    probs = np.round(rng.beta(np.where(fractured, 4, 1), np.where(fractured, 1, 4)), 2)
    region = fit_region(probs, fractured, coverage=coverage)
    for prob in np.unique(np.concatenate([probs, np.linspace(0, 1, 101)])):
        for answer in (True, False):
            others = probs[fractured == answer]
            expected = p_value(prob, others, fractured=answer) > 1 - coverage + 1e-9
            assert region.contains(float(prob), fractured=answer) == expected, (prob, answer)


def test_fresh_studies_are_covered_as_stated_in_each_class():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(300):
        fractured = rng.random(440) < 0.4
        probs = rng.beta(np.where(fractured, 5, 1), np.where(fractured, 1, 3))
        region = fit_region(probs[:240], fractured[:240], coverage=0.9)
        fresh, truth = probs[240:], fractured[240:]
        shares.append(
            [
                covered(region, fresh[truth], truth[truth]),
                covered(region, fresh[~truth], truth[~truth]),
            ]
        )
    mean = np.mean(shares, axis=0)
    assert (mean >= 0.9 - 0.005).all()
    assert (mean <= 0.9 + 0.015).all()


def test_a_region_of_few_studies_holds_every_answer():
    region = fit_region(np.array([0.2, 0.9, 0.1, 0.8]), np.array([True, True, False, False]))
    assert region.fractured_from == 0.0
    assert region.not_fractured_to == 1.0


@pytest.mark.parametrize("value", [True, False])
def test_one_class_is_refused(value):
    with pytest.raises(TrainingError, match="one class"):
        fit_region(np.array([0.1, 0.2]), np.array([value, value]))

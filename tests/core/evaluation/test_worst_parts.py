"""The search for the worst parts of the data against a search of everything."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from core.evaluation.subgroups import Calls
from core.evaluation.tables.attributes import Attribute, Condition, from_vertebrae
from core.evaluation.worst_parts import worst_parts
from tests.core.evaluation.planted import level_items, patients

PAIR = (("site", "site 1"), ("pad", "pad 3"))


def exhaustive(calls, attributes, smallest, at_most):
    """Every part of one or two conditions, scored one by one as the paper's equation 5."""
    truth, n = calls.items.truth, len(calls.wrong)
    rate = np.where(truth, calls.wrong[truth].mean(), calls.wrong[~truth].mean())
    errors = calls.wrong / rate
    found = []
    for level in (1, 2):
        for chosen in combinations(attributes, level):
            for groups in product(*(range(len(one.groups)) for one in chosen)):
                inside = np.ones(n, bool)
                for one, k in zip(chosen, groups, strict=True):
                    inside &= one.members[:, k]
                if inside.sum() < smallest:
                    continue
                worse = errors[inside].mean() / errors.mean()
                score = 0.95 * (worse - 1) - 0.05 * (n / inside.sum() - 1)
                if score > 0:
                    found.append(
                        (score, {Condition(one.key, one.groups[k])
                                 for one, k in zip(chosen, groups, strict=True)})
                    )  # fmt: skip
    return sorted(found, key=lambda pair: -pair[0])[:at_most]


@pytest.mark.parametrize("seed", range(6))
def test_the_parts_and_scores_are_those_of_an_exhaustive_search(seed):
    calls, attributes = patients(seed, corrupted=PAIR[: seed % 3], share=0.6)
    if seed % 2:
        # A study may be in several groups of one attribute.
        both = np.random.default_rng(seed).random((400, 3)) < 0.4
        attributes.append(Attribute("kind", "Kind", "phantom", ("x", "y", "z"), both))
    found = worst_parts(calls, attributes, at_most=8, smallest=12, permutations=19)
    expected = exhaustive(calls, attributes, 12, 8)
    assert [one.score for one in found] == pytest.approx([score for score, _ in expected])
    assert {frozenset(one.conditions) for one in found} == {frozenset(p) for _, p in expected}
    for one in found:
        assert one.units >= 12
        assert 0 < one.error_rate <= 1


@pytest.mark.parametrize("planted", [PAIR[:1], PAIR])
def test_planted_corruption_of_labels_is_found_first(planted):
    calls, attributes = patients(11, 800, corrupted=planted, share=0.7)
    (first, *others) = worst_parts(calls, attributes)
    assert {(c.attribute, c.group) for c in first.conditions} == set(planted)
    assert first.weakness
    assert first.adjusted_p <= min(one.adjusted_p for one in others) + 1e-12
    assert first.titles == tuple(c.attribute.title() for c in first.conditions)


def test_chance_is_called_a_finding_in_at_most_one_cohort_of_twenty():
    findings = 0
    for seed in range(40):
        calls, attributes = patients(seed, 200)
        found = worst_parts(calls, attributes, permutations=199, seed=seed)
        findings += any(one.weakness for one in found)
    # Of 40 at 5 % two are expected; more than five have a probability of 1.4 %.
    assert findings <= 5


def test_many_misses_alone_make_no_part_of_the_fractured():
    """Misses are ten times as frequent as false alarms everywhere alike."""
    rng = np.random.default_rng(9)
    truth, site = rng.random(600) < 0.5, rng.random(600) < 0.5
    called = truth ^ (rng.random(600) < np.where(truth, 0.4, 0.04))
    calls = Calls(level_items(called * 1.0, truth), called, by_vertebra=False)
    attributes = [
        Attribute("fractures", "Fractures", "labels", ("one",), truth[:, None]),
        Attribute("site", "Site", "added", ("a", "b"), np.column_stack([site, ~site])),
    ]
    assert not any(one.weakness for one in worst_parts(calls, attributes))


def test_nothing_wrong_and_no_large_group_give_no_part():
    calls, attributes = patients(1, 60)
    right = Calls(calls.items, calls.items.truth.copy(), by_vertebra=False)
    assert worst_parts(right, attributes) == ()
    assert worst_parts(calls, attributes, smallest=61) == ()
    assert worst_parts(calls, []) == ()


def test_errors_that_are_even_everywhere_give_no_part():
    groups = np.arange(200) % 4
    wrong = np.arange(200) % 8 < 4
    calls = Calls(level_items(wrong * 1.0, np.zeros(200)), wrong, by_vertebra=False)
    members = groups[:, None] == np.arange(4)
    assert worst_parts(calls, [Attribute("a", "A", "added", tuple("wxyz"), members)]) == ()


def test_studies_are_the_units_of_their_slices():
    owners = np.repeat(np.arange(80), 10)
    bad = np.arange(80) < 25
    wrong = np.repeat(bad, 10) & (np.arange(800) % 2 == 0)
    calls = Calls(level_items(wrong * 1.0, np.zeros(800), owners + 3), wrong, by_vertebra=False)
    members = np.concatenate([np.zeros(3, bool), bad])[:, None]
    (found,) = worst_parts(calls, [Attribute("a", "A", "added", ("bad",), members)])
    assert (found.units, found.error_rate, found.weakness) == (25, 0.5, True)


def test_facts_of_vertebrae_and_of_studies_are_combined():
    n, rng = 120, np.random.default_rng(2)
    level = np.array([[f"C{j + 1}" for j in range(7)]] * n, dtype=object)
    sharp = rng.random(n) < 0.5
    items = level_items(np.zeros(7 * n), np.zeros(7 * n), np.repeat(np.arange(n), 7))
    wrong = np.zeros((n, 7), bool)
    wrong[sharp, 4] = rng.random(int(sharp.sum())) < 0.8
    wrong[:, 0] |= rng.random(n) < 0.1
    items.vertebrae[:] = np.tile(np.arange(7), n)
    calls = Calls(items, wrong.ravel(), by_vertebra=True)
    attributes = [
        from_vertebrae("vertebra", "Vertebra", "labels", level, [f"C{j + 1}" for j in range(7)]),
        Attribute("kernel", "Kernel", "headers", ("sharp",), sharp[:, None]),
    ]
    (first, *_) = worst_parts(calls, attributes)
    assert set(first.conditions) == {Condition("vertebra", "C5"), Condition("kernel", "sharp")}
    assert first.weakness
    assert first.units == sharp.sum()

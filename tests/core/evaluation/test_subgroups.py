"""Subgroups: figures, comparison with the rest, and how often chance is called a finding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact
from sklearn.metrics import confusion_matrix, roc_auc_score

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.comparison import holm
from core.evaluation.subgroups import Calls, measure_subgroups, units_of
from core.evaluation.tables.attributes import Attribute, from_names, from_vertebrae
from core.evaluation.tables.evaluation_set import LevelItems
from tests.core.evaluation.planted import level_items, patients

PLANTED = (("kernel", "kernel 2"),)


def test_the_figures_are_those_of_sklearn_on_the_group_alone():
    calls, attributes = patients(1)
    report = measure_subgroups(calls, attributes, permutations=99)
    assert len(report.groups) == 16
    for group in report.groups:
        attribute = next(one for one in attributes if one.key == group.condition.attribute)
        inside = attribute.members[:, attribute.place(group.condition.group)]
        truth, called = calls.items.truth[inside], calls.called[inside]
        (tn, fp), (fn, tp) = confusion_matrix(truth, called)
        counts = group.counts
        assert (counts.true_negatives, counts.false_positives) == (tn, fp)
        assert (counts.false_negatives, counts.true_positives) == (fn, tp)
        assert group.studies == inside.sum()
        assert group.estimates["auc"].value == pytest.approx(
            roc_auc_score(truth, calls.items.scores[inside])
        )
        low, high = binomtest(int(tp), int(tp + fn)).proportion_ci(method="wilson")
        found = group.estimates["sensitivity"]
        assert (found.value, found.low, found.high) == pytest.approx((tp / (tp + fn), low, high))
        assert group.estimates["error"].value == pytest.approx(group.error_rate)


def test_the_rest_is_weighted_to_the_groups_mix_of_fractured_and_intact():
    calls, (attribute, *_) = patients(2)
    (group, *_) = measure_subgroups(calls, [attribute], permutations=9).groups
    inside = attribute.members[:, attribute.place(group.condition.group)]
    truth, wrong = calls.items.truth, calls.wrong
    rates = [wrong[~inside & (truth == value)].mean() for value in (False, True)]
    prevalence = truth[inside].mean()
    expected = (1 - prevalence) * rates[0] + prevalence * rates[1]
    assert group.expected_error == pytest.approx(expected)


def test_the_p_value_of_intact_patients_alone_is_fishers():
    """With one class there is one stratum, so the permutation test is Fisher's exact test."""
    rng = np.random.default_rng(0)
    group = np.arange(200) < 60
    wrong = rng.random(200) < np.where(group, 0.26, 0.14)
    calls = Calls(level_items(wrong.astype(float), np.zeros(200)), wrong, by_vertebra=False)
    attribute = from_names("a", "A", "added", ["x" if inside else "y" for inside in group])
    found = measure_subgroups(calls, [attribute], permutations=20_000)
    table = [[(wrong & g).sum(), (~wrong & g).sum()] for g in (group, ~group)]
    assert found.groups[0].p_value == pytest.approx(fisher_exact(table).pvalue, rel=0.15)
    assert [one.adjusted_p for one in found.groups] == holm([g.p_value for g in found.groups])


def test_planted_corruption_of_labels_is_first_and_a_weakness():
    calls, attributes = patients(3, corrupted=PLANTED)
    report = measure_subgroups(calls, attributes)
    first = report.groups[0]
    assert (first.condition.attribute, first.condition.group) == PLANTED[0]
    assert first.weakness
    assert not first.strength
    assert first.adjusted_p < 0.01
    assert first.difference > 0.1
    assert not any(group.weakness for group in report.groups[1:])
    assert report.tested == 16


def test_chance_is_called_a_finding_in_at_most_one_cohort_of_twenty():
    findings = 0
    for seed in range(60):
        calls, attributes = patients(seed, 200)
        report = measure_subgroups(calls, attributes, permutations=999, seed=seed)
        findings += any(group.weakness or group.strength for group in report.groups)
    # Of 60 at 5 % three are expected; more than seven have a probability of 1 %.
    assert findings <= 7


def test_a_few_patients_with_many_wrong_slices_are_no_finding():
    """Slices of a patient are not independent: one bad patient of a group proves nothing."""
    rng = np.random.default_rng(7)
    owners = np.repeat(np.arange(120), 30)
    wrong = np.isin(owners, [3, 64]) & (rng.random(len(owners)) < 0.9)
    calls = Calls(
        level_items(wrong.astype(float), np.zeros(len(owners)), owners), wrong, by_vertebra=False
    )
    names = ["small" if k < 12 else "other" for k in range(120)]
    report = measure_subgroups(calls, [from_names("a", "A", "added", names)])
    assert report.groups[0].difference > 0.05
    assert report.groups[0].p_value > 0.05


def test_more_fractured_studies_alone_are_no_weakness():
    """The model misses half of the fractured and calls no intact one: the mix makes the rate."""
    truth = np.concatenate([np.arange(100) < 80, np.arange(100) < 10])
    called = truth & (np.arange(200) % 2 == 0)
    calls = Calls(level_items(called * 1.0, truth), called, by_vertebra=False)
    names = ["trauma centre"] * 100 + ["other"] * 100
    (first, *_) = measure_subgroups(calls, [from_names("site", "Site", "added", names)]).groups
    assert first.error_rate in (0.4, 0.05)
    assert first.difference == pytest.approx(0)
    assert first.p_value > 0.9


def test_patients_with_several_fractures_are_no_weakness_by_their_number():
    """Half of the fractured vertebrae are missed everywhere; some patients have three of them."""
    n, rng = 160, np.random.default_rng(8)
    fractured = np.zeros((n, 7), bool)
    fractured[:, 0] = True
    fractured[:60, 1:3] = True
    called = fractured & (rng.random((n, 7)) < 0.5)
    items = level_items(called.ravel() * 1.0, fractured.ravel(), np.repeat(np.arange(n), 7))
    names = ["several"] * 60 + ["one"] * 100
    attribute = from_names("number", "Number", "labels", names)
    calls = Calls(items, called.ravel(), by_vertebra=False)
    report = measure_subgroups(calls, [attribute], permutations=999)
    assert all(group.p_value > 0.05 for group in report.groups)


def test_studies_are_exchanged_among_those_with_and_those_without_a_positive():
    truth = np.array([0, 1, 0, 0, 1, 1, 0, 0], bool)
    wrong = np.array([1, 1, 0, 0, 0, 1, 0, 0], bool)
    owners = np.array([3, 3, 5, 5, 6, 6, 9, 9])
    calls = Calls(level_items(wrong * 1.0, truth, owners), truth ^ wrong, by_vertebra=False)
    units = units_of(calls, single=False)
    # A fifth of the negatives and two thirds of the positives are wrong.
    assert units.residuals == pytest.approx([2 - 1 / 5 - 2 / 3, -2 / 5, 1 - 4 / 3, -2 / 5])
    assert units.strata.tolist() == [1, 0, 1, 0]
    single = units_of(calls, single=True)
    assert single.residuals == pytest.approx(wrong - np.where(truth, 2 / 3, 1 / 5))
    assert single.strata.tolist() == truth.astype(int).tolist()


def test_kinds_of_fracture_are_compared_with_the_other_fractures():
    n, rng = 140, np.random.default_rng(1)
    fractured = np.zeros((n, 7), bool)
    fractured[np.arange(n), rng.integers(0, 7, n)] = True
    kinds = np.full((n, 7), "", object)
    kinds[fractured] = np.where(np.arange(n) % 4 == 0, "hangman", "burst")
    missed = fractured & (kinds == "hangman") & (rng.random((n, 7)) < 0.8)
    items = LevelItems(
        fractured.ravel() * 1.0, fractured.ravel(), np.repeat(np.arange(n), 7),
        np.tile(np.arange(7, dtype=np.int8), n), np.full(7 * n, -1, np.int32),
    )  # fmt: skip
    calls = Calls(items, (fractured & ~missed).ravel(), by_vertebra=True)
    level = np.array([VERTEBRAE] * n, dtype=object)
    attributes = [
        from_vertebrae("kind", "Kind", "phantom", kinds, ["burst", "hangman"]),
        from_vertebrae("vertebra", "Vertebra", "labels", level, VERTEBRAE),
    ]
    report = measure_subgroups(calls, attributes, permutations=999)
    first = report.groups[0]
    assert first.condition.group == "hangman"
    assert first.counts.n_negative == 0
    assert first.counts.n == 35
    assert first.expected_error == 0
    assert first.weakness
    by_name = {group.condition.group: group for group in report.groups}
    assert by_name["C3"].counts.n == n
    # The same at patient level: a study is in the groups of its vertebrae.
    patient = Calls(level_items(np.ones(n), np.ones(n)), ~missed.any(axis=1), by_vertebra=False)
    at_patient = measure_subgroups(patient, attributes, permutations=999)
    assert at_patient.groups[0].condition.group == "hangman"
    assert at_patient.groups[0].studies == 35


def test_small_groups_are_listed_without_figures_and_not_tested():
    calls, _ = patients(4, 60)
    names = ["rare"] * 9 + ["common"] * 51
    report = measure_subgroups(calls, [from_names("a", "A", "added", names)], permutations=9)
    assert report.tested == 0
    assert [group.enough for group in report.groups] == [False, False]
    assert {group.studies for group in report.groups} == {9, 51}
    assert all(group.estimates["error"] is None for group in report.groups)
    last = measure_subgroups(
        calls, [from_names("a", "A", "added", names), *patients(4, 60)[1]], permutations=9
    ).groups[-1]
    assert not last.enough


def test_a_group_whose_rest_lacks_a_class_is_not_tested():
    calls, _ = patients(5, 80)
    inside = calls.items.truth | (np.arange(80) < 40)
    attribute = Attribute("a", "A", "added", ("x",), inside[:, None])
    (group,) = measure_subgroups(calls, [attribute], permutations=9).groups
    assert (group.enough, group.difference, group.p_value) == (True, None, None)
    assert not group.weakness


def test_no_item_is_one_sentence():
    calls, attributes = patients(6, 40)
    nothing = level_items(np.zeros(0), np.zeros(0))
    with pytest.raises(PredictionsError, match="no item"):
        measure_subgroups(replace(calls, items=nothing, called=np.zeros(0, bool)), attributes)

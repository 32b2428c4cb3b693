from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.dataset.quality import FLAG_COLUMNS
from core.errors import DataRootError, PredictionsError
from core.evaluation.curves import threshold_counts
from core.evaluation.poolings import pooling_effects
from core.evaluation.tables.cohort_filter import (
    CohortFilter,
    StudyFacts,
    filtered_places,
    read_study_facts,
)
from core.evaluation.tables.evaluation_set import align
from core.evaluation.thresholds import Limits, Rule, choose_threshold
from core.inference.aggregation import POOLINGS
from tests.core.evaluation.made_cohort import cohort, model, table


@st.composite
def curves(draw):
    n, grid = draw(st.integers(2, 40)), draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    truth = rng.random(n) < 0.4
    truth[:2] = [True, False]
    return threshold_counts(rng.integers(0, grid + 1, n) / grid, truth)


def candidates(curve):
    """Every threshold that matters, from no call to all calls, and its counts."""
    return [(t, curve.at(t)) for t in (np.inf, *curve.thresholds)]


@settings(deadline=None, max_examples=60)
@given(curves(), st.floats(0, 1))
def test_target_sensitivity_is_the_fewest_calls_that_reach_it(curve, target):
    point = choose_threshold(curve, Rule("target sensitivity", target))
    reached = curve.at(point.threshold)

    assert reached.recall >= target - 1e-9
    better = [t for t, c in candidates(curve) if np.isfinite(t) and c.recall >= target - 1e-9]
    assert point.threshold == max(better)


@settings(deadline=None, max_examples=60)
@given(curves(), st.floats(0, 1))
def test_target_specificity_finds_the_most_within_it(curve, target):
    point = choose_threshold(curve, Rule("target specificity", target))
    reached = curve.at(point.threshold)

    assert reached.specificity >= target - 1e-9
    allowed = [c for _, c in candidates(curve) if c.specificity >= target - 1e-9]
    assert reached.recall == max(c.recall for c in allowed)
    equal = [c.false_positives for c in allowed if c.recall == reached.recall]
    assert reached.false_positives == min(equal)


@settings(deadline=None, max_examples=60)
@given(curves(), st.sampled_from([0.1, 0.5, 1.0, 2.0, 7.0, 100.0]))
def test_the_lowest_cost_is_the_lowest_of_all_thresholds(curve, cost):
    point = choose_threshold(curve, Rule("lowest cost", cost))

    def costs(counts):
        return cost * counts.false_negatives + counts.false_positives

    lowest = min(costs(c) for _, c in candidates(curve))
    assert costs(curve.at(point.threshold)) == pytest.approx(lowest, abs=1e-9)
    assert point.asked == cost


def test_no_call_at_all_is_a_choice():
    curve = threshold_counts([0.9, 0.5, 0.1], [0, 1, 0])

    point = choose_threshold(curve, Rule("target specificity", 1.0))
    assert point.threshold == np.nextafter(0.9, 1)
    assert choose_threshold(curve, Rule("lowest cost", 0.5)).threshold == point.threshold


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("target sensitivity"), "needs a share"),
        (Rule("target specificity", 1.2), "needs a share"),
        (Rule("lowest cost"), "number above 0"),
        (Rule("lowest cost", 0.0), "number above 0"),
        (Rule("given", 0.5), "is not a rule"),
    ],
)
def test_a_rule_without_its_number_is_named(rule, message):
    with pytest.raises(PredictionsError, match=message):
        choose_threshold(threshold_counts([0.1, 0.9], [0, 1]), rule)


def test_a_missing_class_is_named():
    ill, well = threshold_counts([0.1, 0.9], [1, 1]), threshold_counts([0.1, 0.9], [0, 0])
    for curve, rule in (
        (well, Rule()), (ill, Rule("highest Youden index")),
        (well, Rule("target sensitivity", 0.9)), (ill, Rule("target specificity", 0.9)),
    ):  # fmt: skip
        with pytest.raises(PredictionsError, match=r"No item is|needs both"):
            choose_threshold(curve, rule)


def test_every_pooling_is_measured_as_if_alone():
    evaluated = cohort(30, models=2)
    effects = pooling_effects(evaluated, replicates=50)

    assert [(e.model, e.pooling) for e in effects] == [(m, p) for m in "ab" for p in POOLINGS]
    for effect in effects:
        pooled = evaluated.model(effect.model).with_pooling(effect.pooling)
        fractured = evaluated.truth.fractured
        wanted = roc_auc_score(fractured.ravel(), pooled.vertebra_scores.ravel())
        assert effect.vertebra_auc == pytest.approx(wanted, abs=1e-12)
        wanted = roc_auc_score(fractured.any(axis=1), pooled.patient_scores)
        assert effect.patient_auc == pytest.approx(wanted, abs=1e-12)
        assert effect.patient_interval.low <= wanted <= effect.patient_interval.high
    assert len({e.vertebra_auc for e in effects if e.model == "a"}) > 1


def facts() -> StudyFacts:
    ids = table().study_ids
    flags = {name: np.zeros(12, bool) for name in FLAG_COLUMNS}
    flags["flag_gap"][[1, 4]] = True
    spacing = np.linspace(0.5, 3.0, 12)
    spacing[7] = np.nan
    return StudyFacts(ids, spacing, flags)


def test_filters_keep_the_studies_that_meet_all_of_them():
    evaluated, known = cohort(), facts()
    truth = evaluated.truth.fractured

    def places(**chosen):
        return filtered_places(evaluated, CohortFilter(**chosen), known).tolist()

    assert places() == list(range(12))
    c3 = truth[:, 2]
    assert places(vertebra="C3") == np.flatnonzero(c3 | ~truth.any(axis=1)).tolist()
    inside = (known.spacing_mm >= 1.0) & (known.spacing_mm <= 2.4)
    assert places(spacing_mm=(1.0, 2.4)) == np.flatnonzero(inside).tolist()
    assert 7 not in places(spacing_mm=(0.0, 9.0))
    assert places(without_flags=("flag_gap",)) == [k for k in range(12) if k not in (1, 4)]
    assert places(vertebra="C3", without_flags=("flag_gap",)) == [
        k for k in np.flatnonzero(c3 | ~truth.any(axis=1)) if k not in (1, 4)
    ]


def test_folds_are_those_of_the_first_model():
    folded = replace(model(), fold=np.arange(12, dtype=np.int16) % 3)
    evaluated = align([folded], table())

    assert filtered_places(evaluated, CohortFilter(fold=2)).tolist() == [2, 5, 8, 11]


def test_a_study_outside_the_index_meets_no_condition_on_it():
    known = facts()
    part = StudyFacts(
        known.study_ids[:5], known.spacing_mm[:5], {n: f[:5] for n, f in known.flags.items()}
    )
    kept = filtered_places(cohort(), CohortFilter(spacing_mm=(0.0, 9.0)), part)

    assert kept.tolist() == [0, 1, 2, 3, 4]


def test_unknown_names_and_missing_facts_are_named():
    with pytest.raises(PredictionsError, match="no vertebra 'C9'"):
        filtered_places(cohort(), CohortFilter(vertebra="C9"))
    with pytest.raises(PredictionsError, match="no quality flag 'flag_odd'"):
        filtered_places(cohort(), CohortFilter(without_flags=("flag_odd",)), facts())
    with pytest.raises(PredictionsError, match="index it first"):
        filtered_places(cohort(), CohortFilter(spacing_mm=(0, 1)))


def test_facts_come_from_the_index(tmp_path):
    rows = {"study_id": ["b", "a"], "z_spacing_mm": [1.0, None]}
    rows |= {name: [True, None] for name in FLAG_COLUMNS}
    pd.DataFrame(rows).to_parquet(tmp_path / "studies.parquet")
    found = read_study_facts(tmp_path / "studies.parquet")

    assert found.study_ids.tolist() == ["a", "b"]
    assert np.isnan(found.spacing_mm[0])
    assert found.spacing_mm[1] == 1.0
    assert found.flags["flag_gap"].tolist() == [False, True]
    pd.DataFrame({"study_id": ["a"]}).to_parquet(tmp_path / "studies.parquet")
    with pytest.raises(DataRootError, match="lacks the column z_spacing_mm"):
        read_study_facts(tmp_path / "studies.parquet")
    with pytest.raises(DataRootError, match="does not exist"):
        read_study_facts(tmp_path / "none.parquet")


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30),
    st.floats(0, 1), st.floats(0, 1), st.none() | st.floats(0, 60),
)  # fmt: skip
def test_limits_hold_at_the_best_f1_or_the_nearest_threshold_is_named(items, a, b, alarms):
    scores = np.array([score / 9 for score, _ in items] + [0.2, 0.7])
    truth = np.array([label for _, label in items] + [True, False])
    curve = threshold_counts(scores, truth)
    point = choose_threshold(curve, Rule("within limits", limits=Limits(a, b, alarms)))
    allowed = np.inf if alarms is None else alarms / 100

    def short(threshold: float) -> float:
        found = curve.at(threshold)
        rate = found.false_positives / len(scores)
        return max(a - found.recall, b - found.precision, rate - allowed)

    within = [cut for cut in curve.thresholds if short(cut) <= 1e-9]
    if within:
        assert point.shortfall == ""
        assert short(point.threshold) <= 1e-9
        best = max(curve.at(cut).f1 for cut in within)
        assert curve.at(point.threshold).f1 == pytest.approx(best, abs=1e-12)
    else:
        assert short(point.threshold) == min(short(cut) for cut in curve.thresholds)
        assert f"sensitivity {curve.at(point.threshold).recall:.3f}" in point.shortfall


def test_false_alarms_are_counted_per_study_not_per_vertebra():
    # Seven vertebrae of two studies; cuts falling: 1, 2, 3 false alarms after the one fracture.
    curve = threshold_counts([0.9, 0.8, 0.7, 0.6, *[0.1] * 10], [1, 0, 0, 0, *[0] * 10])
    limits = Limits(alarms=100.0)
    point = choose_threshold(curve, Rule("within limits", limits=limits, studies=2))
    assert (point.threshold, point.shortfall) == (0.9, "")
    strict = Limits(sensitivity=1.0, precision=1.0, alarms=0.0)
    worse = threshold_counts([0.9, 0.8, 0.7], [0, 1, 0])
    found = choose_threshold(worse, Rule("within limits", limits=strict, studies=1))
    assert found.shortfall == (
        "sensitivity 1.000, precision 0.500, 100.0 false alarms per 100 studies"
    )


def test_the_cost_counts_positives_as_often_as_they_will_come():
    # Two of four are fractured here; where one of a hundred is, a false alarm weighs 99 times more.
    curve = threshold_counts([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    for share in (0.01, 0.3, 0.5, 0.9):
        point = choose_threshold(curve, Rule("lowest cost", 3.0, prevalence=share))
        cuts = [*curve.thresholds, 1.0]
        cost = [
            3.0 * share * (1 - curve.at(cut).recall) + (1 - share) * (1 - curve.at(cut).specificity)
            for cut in cuts
        ]
        assert cost[cuts.index(point.threshold) if point.threshold in cuts else -1] == min(cost)
    data = choose_threshold(curve, Rule("lowest cost", 3.0))
    assert choose_threshold(curve, Rule("lowest cost", 3.0, prevalence=0.5)) == data


@pytest.mark.parametrize("values", [(1.2, 0.0, None), (0.0, -0.1, None), (0.0, 0.0, -1.0)])
def test_limits_that_nothing_can_keep_are_refused(values):
    with pytest.raises(PredictionsError, match="from 0"):
        Limits(*values)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from core.errors import PredictionsError
from core.evaluation.intervals import bootstrap_intervals
from core.evaluation.resampling import pair_counts, resample_patients

NAMES = {
    "accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "auc",
    "average_precision", "mcc", "negative_predictive_value", "brier", "expected_calibration_error",
}  # fmt: skip


def cohort(n_patients: int, n_slices: int, seed: int = 0, *, prevalence: float = 0.3):
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), n_slices)
    truth = rng.random(len(patients)) < prevalence
    scores = np.round((rng.random(len(patients)) + 0.4 * truth) / 1.4, 2)
    return scores, truth, patients


def calibration_error(truth, scores):
    """Over fifteen bins, each closed above, one by one."""
    gaps = []
    for k in range(15):
        inside = (scores > k / 15) & (scores <= (k + 1) / 15) | ((scores == 0) & (k == 0))
        if inside.any():
            gaps.append(inside.mean() * abs(truth[inside].mean() - scores[inside].mean()))
    return sum(gaps)


def loop(scores, truth, patients, *, threshold, replicates, seed):
    """The same resamples, measured one by one with scikit-learn."""
    identifiers = np.unique(patients)
    rows = []
    for drawn in resample_patients(len(identifiers), replicates, seed):
        chosen = np.concatenate(
            [
                np.flatnonzero(patients == identifiers[place])
                for place, times in enumerate(drawn)
                for _ in range(times)
            ]
        )
        y, s = truth[chosen], scores[chosen]
        if y.all() or not y.any():
            continue
        called = s >= threshold
        rows.append(
            {
                "accuracy": oracle.accuracy_score(y, called),
                "precision": oracle.precision_score(y, called, zero_division=0),
                "recall": oracle.recall_score(y, called),
                "specificity": oracle.recall_score(y, called, pos_label=False),
                "f1": oracle.f1_score(y, called),
                "balanced_accuracy": oracle.balanced_accuracy_score(y, called),
                "auc": oracle.roc_auc_score(y, s),
                "average_precision": oracle.average_precision_score(y, s),
                "mcc": oracle.matthews_corrcoef(y, called),
                "negative_predictive_value": oracle.precision_score(~y, ~called, zero_division=0),
                "brier": oracle.brier_score_loss(y, s),
                "expected_calibration_error": calibration_error(y, s),
            }
        )
    return {
        name: (*np.quantile([row[name] for row in rows], [0.025, 0.975]), len(rows))
        for name in NAMES
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_patients", "n_slices", "prevalence", "rank"),
    [(8, 12, 0.3, 40), (12, 1, 0.3, 6), (5, 3, 0.1, 9), (6, 10, 0.5, -1)],
)
def test_intervals_equal_a_scikit_learn_loop_over_the_same_resamples(
    n_patients, n_slices, prevalence, rank
):
    scores, truth, patients = cohort(n_patients, n_slices, prevalence=prevalence)
    truth[0] = True
    # The threshold is a score that occurs, so it matters that equality is a call.
    options = {"threshold": float(np.sort(scores)[rank]), "replicates": 120, "seed": 4}
    ours = bootstrap_intervals(scores, truth, patients, **options)

    assert set(ours) == NAMES
    for name, (low, high, usable) in loop(scores, truth, patients, **options).items():
        interval = ours[name]
        assert interval is not None
        assert interval.low == pytest.approx(low, abs=1e-12), name
        assert interval.high == pytest.approx(high, abs=1e-12), name
        assert interval.replicates == usable


def test_the_same_seed_repeats_and_another_seed_differs():
    case = cohort(20, 5)
    one = bootstrap_intervals(*case, threshold=0.5, replicates=50, seed=1)

    assert bootstrap_intervals(*case, threshold=0.5, replicates=50, seed=1) == one
    assert bootstrap_intervals(*case, threshold=0.5, replicates=50, seed=2) != one


def test_a_patients_items_are_drawn_together():
    # Copies of a patient's items add nothing that is new, so the interval must not shrink.
    scores, truth, patients = cohort(15, 4)
    once = bootstrap_intervals(scores, truth, patients, threshold=0.5, replicates=200)
    tenfold = bootstrap_intervals(
        np.tile(scores, 10), np.tile(truth, 10), np.tile(patients, 10),
        threshold=0.5, replicates=200,
    )  # fmt: skip

    for name in NAMES:
        assert (one := once[name]) is not None
        assert (many := tenfold[name]) is not None
        assert many.low == pytest.approx(one.low, abs=1e-12)
        assert many.high == pytest.approx(one.high, abs=1e-12)


def test_patients_may_be_names_in_any_order():
    scores, truth, patients = cohort(10, 3)
    names = np.array([f"1.2.{place:03d}" for place in patients])
    order = np.random.default_rng(1).permutation(len(scores))
    by_number = bootstrap_intervals(scores, truth, patients, threshold=0.5, replicates=60)
    by_name = bootstrap_intervals(
        scores[order], truth[order], names[order], threshold=0.5, replicates=60
    )

    for name in NAMES:
        assert (one := by_number[name]) is not None
        assert (other := by_name[name]) is not None
        assert other.low == pytest.approx(one.low, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 10_000))
def test_every_interval_lies_in_the_unit_interval(n_patients, n_slices, seed):
    scores, truth, patients = cohort(n_patients, n_slices, seed)
    intervals = bootstrap_intervals(scores, truth, patients, threshold=0.7, replicates=40)

    for name, interval in intervals.items():
        if interval is not None:
            assert (-1 if name == "mcc" else 0) <= interval.low <= interval.high <= 1 + 1e-12
            assert 1 <= interval.replicates <= 40


def test_perfect_scores_give_an_interval_of_ones():
    truth = np.tile([False, True], 20)
    intervals = bootstrap_intervals(truth, truth, np.arange(40), threshold=0.5, replicates=100)

    for name, each in intervals.items():
        wanted = 0.0 if name in {"brier", "expected_calibration_error"} else 1.0
        assert each is not None, name
        assert each.low == each.high == wanted, name


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_interval(label):
    intervals = bootstrap_intervals(
        [0.1, 0.5, 0.9], [label] * 3, [0, 1, 2], threshold=0.5, replicates=20
    )

    assert intervals == dict.fromkeys(NAMES)


def test_one_patient_has_no_interval():
    intervals = bootstrap_intervals([0.1, 0.9], [0, 1], ["a", "a"], threshold=0.5, replicates=20)

    assert intervals == dict.fromkeys(NAMES)


def test_unusable_input_is_named():
    with pytest.raises(PredictionsError, match="one patient for each score"):
        bootstrap_intervals([0.1, 0.2], [0, 1], [0], threshold=0.5)
    with pytest.raises(PredictionsError, match="NaN or infinite"):
        bootstrap_intervals([0.1, np.nan], [0, 1], [0, 1], threshold=0.5)
    with pytest.raises(PredictionsError, match="0 replicates"):
        bootstrap_intervals([0.1, 0.2], [0, 1], [0, 1], threshold=0.5, replicates=0)


def test_resamples_draw_as_many_patients_as_there_are():
    draws = resample_patients(13, 50, seed=0)

    assert draws.shape == (50, 13)
    assert np.all(draws.sum(axis=1) == 13)


def test_scores_that_are_no_probabilities_have_no_calibration_interval():
    intervals = bootstrap_intervals(
        [-1.0, 3.0, 0.5, 2.0], [0, 1, 0, 1], [0, 1, 2, 3], threshold=0.5, replicates=50
    )

    assert intervals["brier"] is None
    assert intervals["expected_calibration_error"] is None
    assert intervals["auc"] is not None


def test_only_the_metrics_asked_for_are_measured():
    case = cohort(10, 3)
    chosen = bootstrap_intervals(*case, threshold=0.5, replicates=30, metrics=("auc", "f1"))
    everything = bootstrap_intervals(*case, threshold=0.5, replicates=30)

    assert chosen == {name: everything[name] for name in ("auc", "f1")}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pair_counts_equal_counting_pair_by_pair(data):
    n = data.draw(st.integers(1, 40))
    scores = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))) / 6
    truth = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    groups = np.array(data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)))
    matrix, rows, columns = pair_counts(scores, truth, groups)

    wanted = np.zeros((6, 6))
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth):
            wanted[groups[i], groups[j]] += (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
    assert rows.tolist() == sorted(set(groups[truth].tolist()))
    assert columns.tolist() == sorted(set(groups[~truth].tolist()))
    assert np.array_equal(matrix, wanted[np.ix_(rows, columns)])


def test_pair_counts_go_on_over_many_levels():
    rng = np.random.default_rng(3)
    scores, truth = np.round(rng.random(3000), 3), rng.random(3000) < 0.3
    groups = rng.integers(0, 7, 3000)
    matrix, _, _ = pair_counts(scores, truth, groups)

    area = matrix.sum() / (truth.sum() * (~truth).sum())
    assert area == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import PredictionsError
from core.evaluation.resampling import resample_patients
from core.experiments.arm_comparison import ArmScores, compare_arms

REPLICATES, SEED = 60, 5


def _runs(seed=0, arms=("plain", "changed"), repeats=3, patients=25):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 4)
    truth = rng.random(len(groups)) < 0.4
    made = []
    for arm in arms:
        lift = 0.8 if arm == "changed" else 0.3
        for _ in range(repeats):
            scores = rng.normal(size=len(groups)).round(1) + lift * truth
            made.append(ArmScores(arm, scores, truth, groups))
    return made


@pytest.mark.slow
def test_equals_a_scikit_learn_loop():
    runs = _runs()
    found = compare_arms(runs, "plain", replicates=REPLICATES, seed=SEED)
    draws = resample_patients(25, REPLICATES, SEED)
    drawn = {"plain": [], "changed": []}
    for times in draws:
        weights = times[runs[0].patients]
        for arm, values in drawn.items():
            values.append(
                np.mean([
                    roc_auc_score(run.truth, run.scores, sample_weight=weights)
                    for run in runs
                    if run.arm == arm
                ])
            )  # fmt: skip
    plain, changed = (np.array(drawn[arm]) for arm in ("plain", "changed"))
    expected = [roc_auc_score(run.truth, run.scores) for run in runs[3:]]
    figure = found["changed"]
    assert figure.runs == pytest.approx(expected)
    assert figure.auc == pytest.approx(np.mean(expected))
    assert figure.run_sd == pytest.approx(np.std(expected, ddof=1))
    assert (figure.low, figure.high) == pytest.approx(tuple(np.quantile(changed, [0.025, 0.975])))
    gap = tuple(np.quantile(changed - plain, [0.025, 0.975]))
    assert (figure.difference_low, figure.difference_high) == pytest.approx(gap)
    assert figure.difference == pytest.approx(figure.auc - found["plain"].auc)


def test_the_baseline_has_no_difference():
    figure = compare_arms(_runs(), "plain", replicates=REPLICATES)["plain"]
    assert (figure.difference, figure.difference_low, figure.difference_high) == (0, 0, 0)


def test_one_run_has_no_spread_over_runs():
    assert compare_arms(_runs(repeats=1), "plain", replicates=REPLICATES)["plain"].run_sd is None


def test_pairing_narrows_the_difference():
    """Two arms that agree on every patient differ by less than either varies."""
    run = _runs(repeats=1)[0]
    twin = ArmScores("twin", run.scores + 1e-3 * run.truth, run.truth, run.patients)
    found = compare_arms([run, twin], "plain", replicates=400)["twin"]
    assert found.difference_high - found.difference_low < 0.2 * (found.high - found.low)


def test_different_patients_are_refused():
    one, other = _runs(repeats=1)
    other = ArmScores("changed", other.scores[4:], other.truth[4:], other.patients[4:])
    with pytest.raises(PredictionsError, match="different patients"):
        compare_arms([one, other], "plain")


def test_one_class_is_refused():
    run = _runs(repeats=1)[0]
    bad = ArmScores("plain", run.scores, np.zeros_like(run.truth), run.patients)
    with pytest.raises(PredictionsError, match="one class"):
        compare_arms([bad], "plain")


def test_a_baseline_without_runs_is_refused():
    with pytest.raises(PredictionsError, match="'nothing' has no run"):
        compare_arms(_runs(repeats=1), "nothing", replicates=REPLICATES)

"""Two runs are compared on the patients that both held out."""

from __future__ import annotations

import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.experiments.run_comparison import compare_runs
from core.inference.aggregation import aggregate
from core.inference.outputs import write_predictions
from tests.core.evaluation.made_cohort import predictions


@pytest.fixture
def place(tmp_path):
    """Labels of 24 studies, and two runs that scored 18 and 24 of them."""
    scored = {name: predictions(24, seed=seed) for name, seed in (("a", 1), ("b", 2))}
    for name, studies in scored.items():
        kept = studies[6:] if name == "a" else studies
        write_predictions(
            tmp_path / name / "predictions", kept, seconds=[0.0] * len(kept), single=False
        )
    rows = []
    for number, study in enumerate(scored["a"]):
        flags = [int(number % 2 == 0 and j == number % 7) for j in range(7)]
        rows.append(",".join(map(str, [study.study_id, max(flags), *flags])))
    header = ",".join(["StudyInstanceUID", "patient_overall", *VERTEBRAE])
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]) + "\n")
    return tmp_path, scored


def test_a_difference_is_that_of_the_metrics_on_the_shared_patients(place):
    root, scored = place
    found = compare_runs(root / "a", root / "b", root)
    assert found.studies == 18
    truth = [number % 2 == 0 for number in range(6, 24)]
    one, other = ([aggregate(study).patient_prob for study in scored[name][6:]] for name in "ab")
    pair = found.pairs["patient"]
    for metric, oracle in (
        ("auc", roc_auc_score),
        ("average_precision", average_precision_score),
        ("brier", brier_score_loss),
    ):
        difference = pair.differences[metric]
        assert difference.value == pytest.approx(oracle(truth, one) - oracle(truth, other))
        assert difference.low <= difference.value <= difference.high


def test_a_run_does_not_differ_from_itself(place):
    root, _ = place
    found = compare_runs(root / "a", root / "a", root)
    for pair in found.pairs.values():
        assert {d.value for d in pair.differences.values()} == {0.0}
        assert {(d.low, d.high) for d in pair.differences.values()} == {(0.0, 0.0)}


def test_a_run_without_predictions_is_named(place):
    root, _ = place
    with pytest.raises(PredictionsError, match="no predictions yet"):
        compare_runs(root / "a", root / "c", root)

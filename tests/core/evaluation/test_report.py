from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.report import evaluate_predictions
from core.evaluation.report_table import render_report
from core.evaluation.tables.truth import StudyTruth
from core.inference.aggregation import aggregate
from core.types import SlicePredictions

N_SLICES = 14


def made_study(index: int, *, masked: bool = True) -> tuple[SlicePredictions, StudyTruth]:
    """A study whose vertebra j covers slices 2j and 2j+1; every other study breaks one."""
    rng = np.random.default_rng(index)
    presence = np.repeat(np.eye(7, dtype=bool), 2, axis=0)
    fractured = np.zeros(7, dtype=bool)
    if index % 2:
        fractured[index % 7] = True
    v = 0.3 * presence + 0.7 * rng.random((N_SLICES, 7))
    shows = (presence & fractured).any(axis=1)
    f = np.repeat((0.3 * shows + 0.7 * rng.random(N_SLICES))[:, None], 7, axis=1)
    study_id = f"1.2.{index}"
    return (
        SlicePredictions(
            study_id, -np.arange(N_SLICES, dtype=float), v.astype(np.float32),
            f.astype(np.float32), 1,
        ),
        StudyTruth(study_id, fractured, presence if masked else None),
    )  # fmt: skip


def cohort(n: int = 12, masked: int | None = None):
    pairs = [made_study(k, masked=masked is None or k < masked) for k in range(n)]
    return [prediction for prediction, _ in pairs], [truth for _, truth in pairs]


def test_every_level_agrees_with_scikit_learn_on_flat_arrays():
    predictions, truth = cohort()
    report = evaluate_predictions(predictions, truth, replicates=50)

    scores = [aggregate(study) for study in predictions]
    masks = [t.presence for t in truth if t.presence is not None]
    y_slice = np.concatenate(
        [(mask & t.fractured).any(axis=1) for mask, t in zip(masks, truth, strict=True)]
    )
    p_i = np.concatenate([s.slice_probs for s in scores])
    y_j = np.stack([t.fractured for t in truth])
    p_j = np.stack([s.vertebra_probs for s in scores])
    assert report.slice is not None
    assert report.presence is not None
    assert 0.5 < roc_auc_score(y_slice, p_i) < 1
    assert report.slice.metrics.auc == pytest.approx(roc_auc_score(y_slice, p_i), abs=1e-12)
    assert report.vertebra.metrics.auc == pytest.approx(
        roc_auc_score(y_j.ravel(), p_j.ravel()), abs=1e-12
    )
    assert report.patient.metrics.auc == pytest.approx(
        roc_auc_score(y_j.any(axis=1), [s.patient_prob for s in scores]), abs=1e-12
    )
    v = np.concatenate([study.vertebra_probs for study in predictions])
    present = np.concatenate(masks)
    assert report.presence.metrics.auc == pytest.approx(
        roc_auc_score(present.ravel(), v.ravel()), abs=1e-12
    )
    for j, name in enumerate(VERTEBRAE):
        assert report.presence_per_vertebra[name].metrics.auc == pytest.approx(
            roc_auc_score(present[:, j], v[:, j]), abs=1e-12
        )


def test_json_has_every_level_and_no_nan():
    predictions, truth = cohort()
    content = evaluate_predictions(predictions, truth, replicates=50).to_json()

    json.dumps(content, allow_nan=False)
    assert set(content) == {
        "slice", "vertebra", "patient", "per_vertebra", "presence", "competition", "n", "notes",
        "reasons", "thresholds_from",
    }  # fmt: skip
    for level in (content["slice"], content["vertebra"], content["patient"]):
        assert {"auc", "f1", "recall", "precision", "accuracy", "threshold", "intervals"} <= set(
            level
        )
        low, high = level["intervals"]["auc"]
        assert 0 <= low <= level["auc"] <= high <= 1
    assert tuple(content["per_vertebra"]) == VERTEBRAE
    assert tuple(content["presence"]["per_vertebra"]) == VERTEBRAE
    assert set(content["competition"]) == {"weighted_log_loss", "weighted_log_loss_global"}
    assert content["n"] == {"patients": 12, "vertebrae": 84, "slices": 12 * N_SLICES}


def test_without_masks_slice_and_presence_are_null_with_a_reason():
    predictions, truth = cohort(masked=0)
    report = evaluate_predictions(predictions, truth, replicates=20)
    content = report.to_json()

    assert content["slice"] is None
    assert content["presence"] is None
    assert content["n"]["slices"] == 0
    assert any("need masks" in note for note in content["notes"])
    assert "no truth" in render_report(report)


def test_masks_of_some_studies_are_used_and_counted():
    predictions, truth = cohort(masked=5)
    report = evaluate_predictions(predictions, truth, replicates=20)

    assert report.n_slices == 5 * N_SLICES
    assert any("5 of 12 studies" in note for note in report.notes)


def test_a_mask_of_another_length_is_left_out_and_noted():
    predictions, truth = cohort()
    presence = truth[0].presence
    assert presence is not None
    truth[0] = StudyTruth(truth[0].study_id, truth[0].fractured, presence[:-1])
    report = evaluate_predictions(predictions, truth, replicates=20)

    assert report.n_slices == 11 * N_SLICES
    assert any("1 studies have a mask with another" in note for note in report.notes)


def test_chosen_thresholds_are_called_optimistic_and_given_ones_are_kept():
    predictions, truth = cohort()
    chosen = evaluate_predictions(predictions, truth, replicates=20)
    assert any("optimistic" in note for note in chosen.notes)
    assert chosen.patient.operating_point.rule == "highest F1"

    levels = ("slice", "vertebra", "patient", "presence")
    given = evaluate_predictions(
        predictions, truth, thresholds=dict.fromkeys(levels, 0.25), replicates=20
    )
    assert given.patient.to_json()["threshold"] == 0.25
    assert given.patient.to_json()["threshold_rule"] == "given"
    assert not any("optimistic" in note for note in given.notes)


def test_a_vertebra_stands_at_the_pooled_operating_point():
    report = evaluate_predictions(*cohort(), replicates=20)

    points = {level.operating_point for level in report.per_vertebra.values()}
    assert points == {report.vertebra.operating_point}


def test_studies_of_one_side_only_are_noted():
    predictions, truth = cohort()
    report = evaluate_predictions(predictions[:-1], truth[2:], replicates=20)

    assert report.n_patients == 9
    assert any("2 scored studies have no truth" in note for note in report.notes)
    assert any("1 studies with truth have no score" in note for note in report.notes)


def test_the_order_of_studies_in_truth_does_not_matter():
    predictions, truth = cohort()

    assert evaluate_predictions(predictions, truth[::-1], replicates=20) == evaluate_predictions(
        predictions, truth, replicates=20
    )


def test_one_class_gives_null_auc_a_default_threshold_and_a_reason():
    predictions, truth = cohort(4)
    healthy = [StudyTruth(t.study_id, np.zeros(7, dtype=bool), t.presence) for t in truth]
    report = evaluate_predictions(predictions, healthy, replicates=20)
    patient = report.to_json()["patient"]

    assert patient["auc"] is None
    assert patient["threshold"] == 0.5
    assert patient["threshold_rule"] == "default"
    assert "need both classes" in patient["undefined"]
    assert patient["intervals"]["auc"] is None
    assert "undefined" in render_report(report)


def test_one_study_is_measured_without_intervals():
    predictions, truth = made_study(1)
    report = evaluate_predictions([predictions], [truth], replicates=20)

    assert report.slice is not None
    assert report.slice.intervals["auc"] is None
    assert report.slice.metrics.auc is not None
    render_report(report)


def test_the_pooling_reaches_vertebrae_and_patients():
    predictions, truth = cohort()
    mean = evaluate_predictions(predictions, truth, replicates=20)
    other = evaluate_predictions(predictions, truth, pooling="max", replicates=20)

    assert other.competition != mean.competition
    assert other.slice == mean.slice


def test_unusable_input_is_named():
    predictions, truth = cohort(3)
    with pytest.raises(PredictionsError, match="None of the 3 predicted studies"):
        evaluate_predictions(predictions, [])
    with pytest.raises(PredictionsError, match="None of the 0 predicted"):
        evaluate_predictions([], truth)
    with pytest.raises(PredictionsError, match=r"predictions: study .* comes twice"):
        evaluate_predictions([*predictions, predictions[0]], truth)
    with pytest.raises(PredictionsError, match="twice in the truth"):
        evaluate_predictions(predictions, [*truth, truth[0]])
    with pytest.raises(PredictionsError, match="no level named 'study'"):
        evaluate_predictions(predictions, truth, thresholds={"study": 0.5})  # pyright: ignore[reportArgumentType]


def test_the_table_names_every_level_and_fits_a_terminal():
    text = render_report(evaluate_predictions(*cohort(), replicates=20))
    lines = text.splitlines()

    for name in ("slice", "vertebra", "patient", "presence", *VERTEBRAE):
        assert any(line.startswith(name) for line in lines), name
    assert all(len(line) <= 100 for line in lines if not line.startswith("note"))

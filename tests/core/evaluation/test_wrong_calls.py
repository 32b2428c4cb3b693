from __future__ import annotations

import numpy as np
import pytest

from core.errors import PredictionsError
from core.evaluation.tables.evaluation_set import align
from core.evaluation.wrong_calls import slice_to_look_at, wrong_calls
from tests.core.evaluation import made_cohort


@pytest.fixture(scope="module")
def evaluated():
    return made_cohort.cohort(n=12)


def listed(evaluated, level, thresholds, kind, **options):
    found = evaluated.items("a", level)
    return wrong_calls(evaluated, "a", found, np.array(thresholds), kind, **options), found


@pytest.mark.parametrize("level", ["patient", "vertebra", "slice", "presence"])
@pytest.mark.parametrize("kind", ["missed", "alarms"])
def test_exactly_the_wrong_ones_are_listed_worst_first(evaluated, level, kind):
    (calls, total), found = listed(evaluated, level, [0.5], kind, at_most=10_000)
    called = found.scores >= 0.5
    expected = found.truth & ~called if kind == "missed" else ~found.truth & called
    assert total == len(calls) == expected.sum()
    margins = [call.margin for call in calls]
    assert margins == sorted(margins, reverse=True)
    assert all((call.score < 0.5) == (kind == "missed") for call in calls)
    worst = found.scores[expected]
    if total:
        assert calls[0].score == (worst.min() if kind == "missed" else worst.max())
    assert len(listed(evaluated, level, [0.5], kind, at_most=3)[0][0]) == min(3, total)


def test_each_vertebra_is_compared_with_its_own_threshold(evaluated):
    limits = np.linspace(0.1, 0.7, 7)
    (calls, total), found = listed(evaluated, "vertebra", limits, "alarms", at_most=999)
    called = found.scores >= limits[found.vertebrae]
    assert total == int((called & ~found.truth).sum())
    assert all(call.threshold == limits[call.vertebra] for call in calls)
    with pytest.raises(PredictionsError, match="without a vertebra"):
        listed(evaluated, "patient", limits, "alarms")


def test_a_missed_patient_points_to_a_fractured_vertebra_in_a_slice_that_shows_it(evaluated):
    (calls, _), _ = listed(evaluated, "patient", [1.1], "missed", at_most=999)
    ids = evaluated.truth.study_ids.tolist()
    for call in calls:
        study = ids.index(call.study_id)
        assert evaluated.truth.fractured[study, call.vertebra]
        row = int(evaluated.truth.offsets[study]) + call.slice_index
        shown = slice(evaluated.truth.offsets[study], evaluated.truth.offsets[study + 1])
        visible = evaluated.truth.presence[shown, call.vertebra].any()
        assert evaluated.truth.presence[row, call.vertebra] or not visible


def test_an_alarm_points_to_the_most_suspicious_slice(evaluated):
    model = evaluated.model("a")
    (calls, _), _ = listed(evaluated, "vertebra", [0.0], "alarms", at_most=999)
    for call in calls:
        study = evaluated.truth.study_ids.tolist().index(call.study_id)
        rows = slice(model.offsets[study], model.offsets[study + 1])
        product = model.presence[rows, call.vertebra] * model.fracture[rows, call.vertebra]
        assert product[call.slice_index] == product.max()


def test_boxes_say_where_a_missed_vertebra_is_best_seen():
    truths = made_cohort.truths(3)
    boxed = {study.study_id: np.arange(len(study.presence)) == 6 for study in truths}
    from core.evaluation.tables.truth_table import truth_table

    evaluated = align([made_cohort.model(n=3)], truth_table(truths, boxed))
    study = next(k for k, n in enumerate(np.diff(evaluated.truth.offsets)) if n > 6)
    assert slice_to_look_at(evaluated.models[0], evaluated.truth, study, 6, "missed") == 6


def test_a_model_without_slices_points_to_no_slice(evaluated):
    from core.evaluation.tables.score_table import table_without_slices

    model = evaluated.models[0]
    bare = table_without_slices("a", model.study_ids.copy(), model.vertebra_scores.copy(),
                                model.patient_scores.copy())  # fmt: skip
    calls, _ = wrong_calls(
        align([bare], evaluated.truth), "a", align([bare], evaluated.truth).items("a", "patient"),
        np.array([1.1]), "missed",
    )  # fmt: skip
    assert {call.slice_index for call in calls} == {None}

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.constants import FRACTURE_TYPES
from core.errors import PredictionsError
from core.evaluation.tables.score_table import table_from_predictions, table_without_slices
from core.inference.aggregation import POOLINGS, aggregate
from core.types import SlicePredictions
from tests.core.evaluation.made_cohort import model, predictions


@st.composite
def studies(draw):
    """Studies of 1 to 8 slices, some vertebrae never seen."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    fracture_type = draw(st.sampled_from(FRACTURE_TYPES))
    found = []
    for k in range(draw(st.integers(1, 5))):
        n = draw(st.integers(1, 8))
        v = np.where(rng.random((n, 7)) < 0.3, 0, rng.random((n, 7))) * (rng.random(7) < 0.8)
        f = np.repeat(rng.random((n, 1)), 7, axis=1) if fracture_type == 1 else rng.random((n, 7))
        found.append(
            SlicePredictions(
                f"s{k}", -np.arange(float(n)), v.astype(np.float32), f.astype(np.float32),
                fracture_type,
            )
        )  # fmt: skip
    return found


@settings(deadline=None, max_examples=60)
@given(studies(), st.sampled_from(POOLINGS))
def test_every_level_equals_aggregating_study_by_study(made, pooling):
    table = table_from_predictions("m", made[::-1], pooling=pooling)

    assert table.study_ids.tolist() == [study.study_id for study in made]
    for k, study in enumerate(made):
        alone = aggregate(study, pooling=pooling)
        rows = slice(table.offsets[k], table.offsets[k + 1])
        assert table.slice_scores[rows] == pytest.approx(alone.slice_probs, abs=1e-12)
        assert table.vertebra_scores[k] == pytest.approx(alone.vertebra_probs, abs=1e-12)
        assert table.patient_scores[k] == pytest.approx(alone.patient_prob, abs=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_another_pooling_is_as_if_it_had_been_asked_for_at_first(pooling):
    made = predictions(5)
    pooled = table_from_predictions("m", made).with_pooling(pooling)
    direct = table_from_predictions("m", made, pooling=pooling)

    assert np.array_equal(pooled.vertebra_scores, direct.vertebra_scores)
    assert np.array_equal(pooled.patient_scores, direct.patient_scores)
    assert pooled.pooling == pooling
    assert pooled.slice_scores is not None


def test_taking_studies_keeps_their_slices():
    whole, made = model(n=6), predictions(6)
    some = whole.take(np.array([1, 4]))
    alone = table_from_predictions("a", [made[1], made[4]])

    assert some.study_ids.tolist() == ["1.2.1", "1.2.4"]
    for name in ("offsets", "presence", "fracture", "slice_scores", "patient_scores"):
        assert np.array_equal(getattr(some, name), getattr(alone, name)), name
    assert whole.take(np.arange(6)) is whole


def test_arrays_cannot_be_written_and_a_type_1_model_keeps_one_column():
    table = model(fracture_type=1)

    assert table.fracture.shape == (table.n_slices, 1)
    with pytest.raises(ValueError, match="read-only"):
        table.slice_scores[0] = 0.5


def test_a_model_without_slices_is_sorted_and_cannot_be_pooled():
    table = table_without_slices(
        "out", np.array(["b", "a"]), np.array([[0.1] * 7, [0.2] * 7]), np.array([0.3, 0.4])
    )

    assert table.study_ids.tolist() == ["a", "b"]
    assert table.patient_scores.tolist() == [0.4, 0.3]
    assert table.n_slices == 0
    assert table.take(np.array([1])).patient_scores.tolist() == [0.3]
    with pytest.raises(PredictionsError, match="cannot be pooled again"):
        table.with_pooling("max")


def test_unusable_predictions_are_named():
    one, other = predictions(2)
    with pytest.raises(PredictionsError, match="no study"):
        table_from_predictions("m", [])
    with pytest.raises(PredictionsError, match="comes twice"):
        table_from_predictions("m", [one, one])
    with pytest.raises(PredictionsError, match="types differ"):
        table_from_predictions("m", [one, replace(other, fracture_type=3)])
    with pytest.raises(PredictionsError, match="type 5 is unknown"):
        table_from_predictions("m", [replace(one, fracture_type=5)])
    with pytest.raises(PredictionsError, match="seven columns differ"):
        table_from_predictions("m", [replace(one, fracture_type=1)])
    with pytest.raises(PredictionsError, match="fracture probabilities are NaN"):
        table_from_predictions("m", [replace(one, fracture_probs=one.fracture_probs * np.nan)])
    with pytest.raises(PredictionsError, match=r"presence probabilities .* outside"):
        table_from_predictions("m", [replace(one, vertebra_probs=one.vertebra_probs + 1)])
    with pytest.raises(PredictionsError, match="no pooling named 'sum'"):
        table_from_predictions("m", [one], pooling="sum")

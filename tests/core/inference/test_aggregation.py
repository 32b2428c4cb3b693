from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.constants import FRACTURE_TYPES
from core.errors import PredictionsError
from core.inference.aggregation import (
    POOLINGS,
    aggregate,
    patient_scores,
    slice_scores,
    vertebra_scores,
)
from core.types import SlicePredictions

# Three slices. C1 and C2 are filled in by hand below; C3..C7 have v = 0 and an f that must not
# matter. Every number is a short binary fraction, so float32 holds it exactly.
#
#          v_C1  v_C2 | f_C1  f_C2
#   i = 0   1    1/2  | 1/2   1/4
#   i = 1  1/2    1   | 1/4   3/4
#   i = 2   0     0   |  1     1
HAND_V = [[1.0, 0.5], [0.5, 1.0], [0.0, 0.0]]
HAND_F = [[0.5, 0.25], [0.25, 0.75], [1.0, 1.0]]


def hand_study(fracture_type: int = 2) -> SlicePredictions:
    presence = np.zeros((3, 7), dtype=np.float32)
    fracture = np.full((3, 7), 0.875, dtype=np.float32)
    presence[:, :2], fracture[:, :2] = HAND_V, HAND_F
    return study(presence, fracture, fracture_type)


def study(presence, fracture, fracture_type: int = 2) -> SlicePredictions:
    return SlicePredictions(
        study_id="1.2.3",
        z_mm=-np.arange(len(presence), dtype=np.float64),
        vertebra_probs=np.asarray(presence),
        fracture_probs=np.asarray(fracture),
        fracture_type=fracture_type,
        models=("vertebra", "fracture"),
    )


def repeated(column) -> np.ndarray:
    return np.repeat(np.asarray(column, dtype=np.float64)[:, None], 7, axis=1)


@pytest.mark.parametrize("fracture_type", [2, 3])
def test_types_2_and_3_follow_the_hand_worked_table(fracture_type):
    patient = aggregate(hand_study(fracture_type))

    # p_0 = (1/2 * 1 + 1/4 * 1/2) / (1 + 1/2) = (5/8) / (3/2) = 5/12
    # p_1 = (1/4 * 1/2 + 3/4 * 1) / (1/2 + 1) = (7/8) / (3/2) = 7/12
    # p_2: v sums to 0, so 0 and not seen
    assert patient.slice_probs == pytest.approx([5 / 12, 7 / 12, 0.0], abs=1e-15)
    assert patient.slice_seen.tolist() == [True, True, False]
    # p_C1 = (1/2 * 1 + 1/4 * 1/2 + 1 * 0) / (1 + 1/2 + 0) = 5/12
    # p_C2 = (1/4 * 1/2 + 3/4 * 1 + 1 * 0) / (1/2 + 1 + 0) = 7/12
    assert patient.vertebra_probs == pytest.approx([5 / 12, 7 / 12, 0, 0, 0, 0, 0], abs=1e-15)
    assert patient.vertebra_seen.tolist() == [True, True] + [False] * 5
    # p = 1 - (1 - 5/12)(1 - 7/12) = 1 - 7/12 * 5/12 = 1 - 35/144 = 109/144
    assert patient.patient_prob == pytest.approx(109 / 144, abs=1e-15)
    assert patient.study_id == "1.2.3"
    assert patient.models == ("vertebra", "fracture")


def test_type_1_follows_the_hand_worked_table():
    # One f a slice: 1/2, 1/4, 1. p_i = f_i, also on the slice without any presence.
    presence = np.zeros((3, 7))
    presence[:, :2] = HAND_V
    patient = aggregate(study(presence, repeated([0.5, 0.25, 1.0]), fracture_type=1))

    assert patient.slice_probs == pytest.approx([0.5, 0.25, 1.0], abs=0)
    assert patient.slice_seen.tolist() == [True, True, True]
    assert patient.slice_seen.dtype == np.bool_
    # p_C1 = (1/2 * 1 + 1/4 * 1/2) / (3/2) = (5/8) / (3/2) = 5/12
    # p_C2 = (1/2 * 1/2 + 1/4 * 1) / (3/2) = (1/2) / (3/2) = 1/3
    assert patient.vertebra_probs[:2] == pytest.approx([5 / 12, 1 / 3], abs=1e-15)
    # p = 1 - 7/12 * 2/3 = 1 - 14/36 = 11/18
    assert patient.patient_prob == pytest.approx(11 / 18, abs=1e-15)


def test_boxes_follow_the_hand_worked_table():
    # One box a slice is of one vertebra: p_i = max_j f_ij v_ij, and p_j as for Types 2 and 3.
    patient = aggregate(hand_study(4))

    # p_0 = max(1/2 * 1, 1/4 * 1/2) = 1/2; p_1 = max(1/4 * 1/2, 3/4 * 1) = 3/4; p_2 not seen
    assert patient.slice_probs == pytest.approx([1 / 2, 3 / 4, 0.0], abs=1e-15)
    assert patient.slice_seen.tolist() == [True, True, False]
    assert patient.vertebra_probs[:2] == pytest.approx([5 / 12, 7 / 12], abs=1e-15)


@pytest.mark.parametrize(
    ("pooling", "c1", "c2"),
    [
        # products f v: C1 1/2, 1/8, 0; C2 1/8, 3/4, 0
        ("max", Fraction(1, 2), Fraction(3, 4)),
        # fewer than five slices: the mean of all three, C1 (5/8)/3 and C2 (7/8)/3
        ("top_k", Fraction(5, 24), Fraction(7, 24)),
        # C1 1 - 1/2 * 7/8 = 9/16; C2 1 - 7/8 * 1/4 = 25/32
        ("noisy_or", Fraction(9, 16), Fraction(25, 32)),
    ],
)
def test_other_poolings_follow_the_hand_worked_table(pooling, c1, c2):
    mean = aggregate(hand_study())
    patient = aggregate(hand_study(), pooling=pooling)

    assert patient.vertebra_probs[:2] == pytest.approx([float(c1), float(c2)], abs=1e-15)
    assert patient.patient_prob == pytest.approx(float(1 - (1 - c1) * (1 - c2)), abs=1e-15)
    assert patient.slice_probs.tolist() == mean.slice_probs.tolist()
    assert patient.vertebra_seen.tolist() == mean.vertebra_seen.tolist()


def test_top_k_averages_the_five_largest_products():
    fracture = repeated([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4])
    patient = aggregate(study(np.ones((7, 7)), fracture, 2), pooling="top_k")

    # (0.9 + 0.8 + 0.7 + 0.4 + 0.3) / 5 = 0.62
    assert patient.vertebra_probs == pytest.approx([0.62] * 7)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_no_presence_anywhere_gives_zero_and_not_seen(pooling):
    patient = aggregate(study(np.zeros((4, 7)), np.ones((4, 7)), 3), pooling=pooling)

    assert patient.patient_prob == 0.0
    assert not patient.vertebra_probs.any()
    assert not patient.slice_probs.any()
    assert not patient.vertebra_seen.any()
    assert not patient.slice_seen.any()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_slice_scores_like_its_own_probabilities(pooling):
    patient = aggregate(study(np.ones((1, 7)), np.full((1, 7), 0.25), 2), pooling=pooling)

    assert patient.vertebra_probs == pytest.approx([0.25] * 7)
    assert patient.patient_prob == pytest.approx(1 - 0.75**7)


def test_sums_run_in_float64_for_float32_input():
    rng = np.random.default_rng(3)
    presence = rng.random((5000, 7), dtype=np.float32)
    fracture = rng.random((5000, 7), dtype=np.float32)
    narrow = aggregate(study(presence, fracture))
    wide = aggregate(study(presence.astype(np.float64), fracture.astype(np.float64)))

    assert narrow.slice_probs.dtype == narrow.vertebra_probs.dtype == np.float64
    assert narrow.vertebra_probs.tolist() == wide.vertebra_probs.tolist()
    assert narrow.patient_prob == wide.patient_prob


def test_input_arrays_stay_as_they_were():
    before = hand_study()
    presence, fracture = before.vertebra_probs.copy(), before.fracture_probs.copy()
    aggregate(before)

    assert np.array_equal(before.vertebra_probs, presence)
    assert np.array_equal(before.fracture_probs, fracture)


probabilities = st.floats(0, 1, width=32)


@st.composite
def studies(draw) -> SlicePredictions:
    n_slices = draw(st.integers(1, 9))
    table = hnp.arrays(np.float32, (n_slices, 7), elements=probabilities)
    fracture_type = draw(st.sampled_from(FRACTURE_TYPES))
    fracture = draw(table)
    if fracture_type == 1:
        fracture = np.repeat(fracture[:, :1], 7, axis=1)
    return study(draw(table), fracture, fracture_type)


@settings(deadline=None)
@given(studies(), st.sampled_from(POOLINGS))
def test_every_score_stays_in_the_unit_interval(predictions, pooling):
    patient = aggregate(predictions, pooling=pooling)

    for scores in (patient.slice_probs, patient.vertebra_probs, np.array(patient.patient_prob)):
        assert np.all((scores >= 0) & (scores <= 1))


@settings(deadline=None)
@given(studies(), st.sampled_from(POOLINGS), st.randoms(use_true_random=False))
def test_vertebra_and_patient_do_not_depend_on_slice_order(predictions, pooling, random):
    order = list(range(predictions.n_slices))
    random.shuffle(order)
    shuffled = study(
        predictions.vertebra_probs[order],
        predictions.fracture_probs[order],
        predictions.fracture_type,
    )
    one, other = aggregate(predictions, pooling=pooling), aggregate(shuffled, pooling=pooling)

    assert other.vertebra_probs == pytest.approx(one.vertebra_probs, abs=1e-12)
    assert other.patient_prob == pytest.approx(one.patient_prob, abs=1e-12)
    assert other.slice_probs == pytest.approx(one.slice_probs[order], abs=1e-12)


@settings(deadline=None)
@given(studies(), st.sampled_from(POOLINGS), st.floats(0, 1))
def test_raising_fracture_probabilities_lowers_no_score(predictions, pooling, share):
    fracture = predictions.fracture_probs.astype(np.float64)
    raised = study(
        predictions.vertebra_probs, fracture + share * (1 - fracture), predictions.fracture_type
    )
    one, other = aggregate(predictions, pooling=pooling), aggregate(raised, pooling=pooling)

    assert np.all(other.slice_probs >= one.slice_probs - 1e-12)
    assert np.all(other.vertebra_probs >= one.vertebra_probs - 1e-12)
    assert other.patient_prob >= one.patient_prob - 1e-12


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.01, 1.01])
@pytest.mark.parametrize("which", ["vertebra_probs", "fracture_probs"])
def test_a_value_outside_the_unit_interval_is_named(bad, which):
    predictions = hand_study()
    getattr(predictions, which)[1, 1] = bad

    with pytest.raises(PredictionsError, match=r"are NaN or outside \[0, 1\]"):
        aggregate(predictions)


@pytest.mark.parametrize("shape", [(3, 6), (2, 7), (3,), (0, 7)])
def test_a_wrong_shape_is_named(shape):
    predictions = SlicePredictions("1.2", np.zeros(3), np.zeros(shape), np.zeros((3, 7)), 2)

    with pytest.raises(PredictionsError, match="shape"):
        aggregate(predictions)


def test_a_study_without_slices_is_refused():
    with pytest.raises(PredictionsError, match="no slice"):
        aggregate(study(np.zeros((0, 7)), np.zeros((0, 7))))


def test_unknown_pooling_and_type_are_refused():
    with pytest.raises(PredictionsError, match="pooling named 'median'"):
        aggregate(hand_study(), pooling="median")
    with pytest.raises(PredictionsError, match="type 5"):
        aggregate(hand_study(fracture_type=5))


def test_type_1_with_differing_columns_is_refused():
    with pytest.raises(PredictionsError, match="seven columns differ"):
        aggregate(hand_study(fracture_type=1))


def test_a_faint_vertebra_is_seen():
    presence = np.zeros((2, 7))
    presence[0, 3] = 0.25
    found = aggregate(study(presence, np.full((2, 7), 0.5), fracture_type=3))
    assert found.slice_seen.tolist() == [True, False]
    assert found.slice_probs.tolist() == [0.5, 0.0]


def plain_slice(v, f, fracture_type):
    """p_i of one slice, number by number."""
    if fracture_type == 1:
        return f[0]
    if fracture_type == 4:
        return max(a * b for a, b in zip(v, f, strict=True))
    weight = sum(v)
    return sum(a * b for a, b in zip(v, f, strict=True)) / weight if weight > 0 else 0.0


def plain_vertebra(v, f, pooling):
    """p_j of one vertebra from its slices, number by number."""
    if not sum(v) > 0:
        return 0.0
    products = sorted((a * b for a, b in zip(v, f, strict=True)), reverse=True)
    if pooling == "mean":
        return sum(products) / sum(v)
    if pooling == "max":
        return products[0]
    if pooling == "top_k":
        return sum(products[:5]) / len(products[:5])
    none = 1.0
    for product in products:
        none *= 1.0 - product
    return 1.0 - none


@pytest.mark.parametrize("fracture_type", FRACTURE_TYPES)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_many_studies_score_like_a_plain_loop_over_each_in_float64(fracture_type, pooling):
    rng = np.random.default_rng(7)
    lengths = [1, 2, 4, 5, 6, 90, 1, 300]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Some slices show nothing, and some vertebrae are on no slice of a study.
    v = rng.random((offsets[-1], 7), dtype=np.float32) * (rng.random((offsets[-1], 7)) < 0.6)
    for k in range(len(lengths)):
        v[offsets[k] : offsets[k + 1]] *= rng.random(7) < 0.7
    v[::9] = 0
    v = v.astype(np.float32)
    f = rng.random((offsets[-1], 7), dtype=np.float32)
    if fracture_type == 1:
        f = np.repeat(f[:, :1], 7, axis=1)

    p_j, seen = vertebra_scores(v, f, offsets, pooling)
    p_i, slice_seen = slice_scores(v, f, fracture_type)
    p = patient_scores(p_j)

    for k in range(len(lengths)):
        rows = slice(offsets[k], offsets[k + 1])
        own_v, own_f = v[rows].astype(float).tolist(), f[rows].astype(float).tolist()
        columns = zip(zip(*own_v, strict=True), zip(*own_f, strict=True), strict=True)
        wanted = [plain_vertebra(a, b, pooling) for a, b in columns]
        slices = [plain_slice(a, b, fracture_type) for a, b in zip(own_v, own_f, strict=True)]
        assert p_j[k] == pytest.approx(wanted, abs=1e-12)
        assert p_i[rows] == pytest.approx(slices, abs=1e-12)
        assert p[k] == pytest.approx(1 - np.prod([1 - each for each in wanted]), abs=1e-12)
        assert seen[k].tolist() == [sum(column) > 0 for column in zip(*own_v, strict=True)]
        assert slice_seen[rows].tolist() == [fracture_type == 1 or sum(r) > 0 for r in own_v]
        alone = aggregate(study(v[rows], f[rows], fracture_type), pooling=pooling)
        assert alone.vertebra_probs == pytest.approx(wanted, abs=1e-12)
        assert alone.slice_probs == pytest.approx(slices, abs=1e-12)


def test_one_column_of_a_type_1_model_scores_like_seven_equal_ones():
    presence, fracture = np.random.default_rng(2).random((2, 6, 7))
    offsets = np.array([0, 2, 6])

    one, seen = vertebra_scores(presence, fracture[:, :1], offsets)
    seven, _ = vertebra_scores(presence, np.repeat(fracture[:, :1], 7, axis=1), offsets)

    assert one.tolist() == seven.tolist()
    assert seen.all()

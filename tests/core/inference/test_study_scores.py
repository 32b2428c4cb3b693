from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.inference.study_scores import call, score_study
from core.types import SlicePredictions


def predictions(presence, fracture, fracture_type=3) -> SlicePredictions:
    presence = np.asarray(presence, np.float32)
    return SlicePredictions(
        study_id="made",
        z_mm=100.0 - 3.0 * np.arange(len(presence)),
        vertebra_probs=presence,
        fracture_probs=np.asarray(fracture, np.float32),
        fracture_type=fracture_type,
    )


def two_vertebrae() -> SlicePredictions:
    """C1 on slices 0–2, C2 on 2–4 with a suspicious slice 3, nothing else seen."""
    presence, fracture = np.zeros((6, 7)), np.full((6, 7), 0.1)
    presence[0:3, 0] = 1
    presence[2:5, 1] = 1
    fracture[3, 1] = 0.9
    return predictions(presence, fracture)


def test_ranges_and_peaks_are_found_where_they_were_put():
    scores = score_study(two_vertebrae())
    assert scores.ranges == ((0, 2), (2, 4), None, None, None, None, None)
    assert scores.peaks[1] == 3
    assert scores.peak_slice == 3


def test_the_peak_of_a_vertebra_lies_on_a_slice_that_shows_it():
    presence, fracture = np.zeros((6, 7)), np.full((6, 7), 0.1)
    presence[0:2, 3], presence[2:6, 4] = 0.9, 0.9
    # Barely present beyond its slices, but highly suspicious there.
    presence[4, 3], fracture[4] = 0.45, 0.9
    scores = score_study(predictions(presence, fracture))
    assert scores.ranges[3] == (0, 1)
    assert scores.peaks[3] == 0
    assert scores.peaks[4] == 4


def test_the_longest_run_is_the_range_where_presence_has_gaps():
    presence = np.zeros((8, 7))
    presence[[0, 2, 3, 4, 6, 7], 4] = 0.9
    scores = score_study(predictions(presence, np.full((8, 7), 0.2)))
    assert scores.ranges[4] == (2, 4)


def test_a_score_equal_to_its_threshold_is_a_call():
    scores = score_study(two_vertebrae())
    p = scores.patient
    calls = call(scores, patient=p.patient_prob, vertebra=float(p.vertebra_probs[1]))
    assert calls.patient
    assert calls.vertebrae == (False, True, None, None, None, None, None)
    above = np.nextafter(p.patient_prob, 2)
    assert not call(scores, patient=above, vertebra=0.5).patient


def test_a_vertebra_that_is_not_seen_gets_no_call_at_any_threshold():
    calls = call(score_study(two_vertebrae()), patient=0.0, vertebra=0.0)
    assert calls.vertebrae[2:] == (None,) * 5


probabilities = arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32))


@given(probabilities, probabilities, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_adds_a_call(presence, fracture, one, other):
    scores = score_study(predictions(presence, fracture))
    low, high = sorted((one, other))
    loose = call(scores, patient=low, vertebra=low)
    strict = call(scores, patient=high, vertebra=high)
    assert loose.patient >= strict.patient
    for a, b in zip(loose.vertebrae, strict.vertebrae, strict=True):
        assert (a is None) == (b is None)
        assert a or not b


def test_a_study_of_one_slice_has_one_range():
    presence = np.zeros((1, 7))
    presence[0, 3] = 1
    scores = score_study(predictions(presence, np.full((1, 7), 0.4)))
    assert scores.ranges[3] == (0, 0)
    assert scores.patient.patient_prob == pytest.approx(0.4)

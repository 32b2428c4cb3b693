from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from core.inference.study_scores import call, score_study
from core.types import BoxPrediction
from dashboard.diagnosis.box_layer import scores_sentence
from dashboard.diagnosis.verdict import UNRELIABLE, _patient_card
from dashboard.studies.localizer import StudyBoxes
from tests.core.inference.test_study_scores import predictions, two_vertebrae


def pair(*, boxes):
    return SimpleNamespace(
        fracture=SimpleNamespace(config=SimpleNamespace(gives_boxes=boxes, name="type1"))
    )


@pytest.mark.parametrize(("boxes", "how"), [(True, "weighs"), (False, "takes no account")])
def test_one_sentence_joins_box_slice_vertebra_and_patient(boxes, how):
    scores = score_study(two_vertebrae())
    found = StudyBoxes((BoxPrediction((0, 0, 4, 4), 3, 0.86),), 0.85, "localiser")
    text = scores_sentence(found, scores, pair(boxes=boxes), (0.5, 0.2))
    assert text.count(". ") == 0
    assert how in text
    assert "box score 0.86 (threshold 0.85) is on slice 3" in text
    assert f"probability is {scores.patient.slice_probs[3]:.3f}" in text
    assert f"{scores.patient.vertebra_probs[1]:.3f} (threshold 0.200: called) for C2" in text
    assert f"{scores.patient.patient_prob:.3f} (threshold 0.500: not called)" in text


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_implausible_levels_give_no_call_and_no_comparison_with_the_truth(threshold):
    presence = np.zeros((6, 7))
    presence[0:3, 6], presence[3:6, 5] = 1, 1
    scores = score_study(predictions(presence, np.full((6, 7), 0.5)))
    calls = call(scores, patient=threshold, vertebra=threshold)
    card = _patient_card(scores, calls, threshold, [True] * 7)
    assert UNRELIABLE in card
    assert "C7 is above C6" in card
    assert "suspected" not in card
    assert "Truth" not in card
    plain = score_study(two_vertebrae())
    assert UNRELIABLE not in _patient_card(plain, calls, threshold, None)

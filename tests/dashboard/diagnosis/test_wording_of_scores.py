from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.inference.study_scores import score_study
from core.types import BoxPrediction
from dashboard.diagnosis.box_layer import scores_sentence
from dashboard.studies.localizer import StudyBoxes
from tests.core.inference.test_study_scores import two_vertebrae


def pair(*, boxes):
    return SimpleNamespace(
        fracture=SimpleNamespace(
            config=SimpleNamespace(uses_boxes=boxes, name="type1"), folder=Path("type1")
        )
    )


@pytest.mark.parametrize(("boxes", "how"), [(True, "weighs"), (False, "takes no account")])
def test_one_sentence_joins_box_slice_vertebra_and_patient(boxes, how):
    scores = score_study(two_vertebrae())
    found = StudyBoxes((BoxPrediction((0, 0, 4, 4), 3, 0.86),), 0.85, "localiser")
    html = scores_sentence(found, scores, pair(boxes=boxes), (0.5, 0.2))
    text = re.sub("<[^>]*>", "", html)
    assert text.count(". ") == 0
    assert how in text
    assert "box score 0.86 (threshold 0.85) is on slice 3" in text
    assert f"probability is {scores.patient.slice_probs[3]:.3f}" in text
    assert f"{scores.patient.vertebra_probs[1]:.3f} (threshold 0.200: called) for C2" in text
    assert f"{scores.patient.patient_prob:.3f} (threshold 0.500: not called)" in text

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.inference.study_scores import score_study
from core.inference.verdict import NO_CALL, NO_REFERENCE, judge
from core.models.abstention import Abstention, CallRegion, DistributionReference
from core.models.pairs import BundlePair
from tests.core.inference.test_predictor import info
from tests.core.inference.test_study_scores import predictions, two_vertebrae

SHA = "0" * 64
REFERENCE = DistributionReference(
    cohort={}, studies=4, distance=2.0, scores=(0.4, 0.5, 0.6, 1.0), arrays_sha256=SHA
)


def region(low, high):
    return CallRegion(
        coverage=0.9, fractured_from=low, not_fractured_to=high, fractured=9, not_fractured=9,
        chosen_on="made studies",
    )  # fmt: skip


def pair(answers=None, reference=REFERENCE):
    points = {"patient": {"threshold": 0.4}, "vertebra": {"threshold": 0.3}}
    return BundlePair(
        replace(
            info("vertebra"), abstention=Abstention(weights_sha256=SHA, distribution=reference)
        ),
        replace(
            info("fracture", type=2), operating_points=points,
            abstention=Abstention(weights_sha256=SHA, region=answers),
        ),
    )  # fmt: skip


def scores(score=None):
    return score_study(replace(two_vertebrae(), distribution_score=score))


PROB = scores().patient.patient_prob


def upside_down():
    presence = np.zeros((6, 7))
    presence[0:3, 6], presence[3:6, 5] = 1, 1
    return score_study(predictions(presence, np.full((6, 7), 0.5)))


def test_without_reference_and_region_the_operating_point_calls():
    found = judge(scores(), pair(reference=None))
    assert (found.call, found.in_distribution, found.score) == ("fractured", None, None)
    assert found.distribution == NO_REFERENCE
    assert found.headline == "Fracture suspected"
    assert judge(scores(), pair(), patient=1.0).call == "not fractured"


@pytest.mark.parametrize(("score", "made"), [(0.0, True), (1.0, True), (1.0001, False), (9, False)])
def test_a_call_is_made_up_to_a_distribution_score_of_1(score, made):
    found = judge(scores(score), pair())
    assert found.in_distribution is made
    assert (found.calls.patient is not None) is made
    assert (found.call == "out of distribution") is not made
    assert (found.headline == NO_CALL) is not made
    assert any(call is not None for call in found.calls.vertebrae) is made


def test_implausible_levels_come_before_the_distribution():
    found = judge(upside_down(), pair())
    assert found.call == "out of distribution"
    assert found.in_distribution is False
    assert "C7 is above C6" in found.reason
    assert found.headline == NO_CALL


@pytest.mark.parametrize(
    ("low", "high", "answers", "call"),
    [
        (0.1, 0.2, ("fractured",), "fractured"),
        (0.1, 0.9, ("fractured", "not fractured"), "uncertain"),
        (0.9, 0.2, (), "uncertain"),
        # The operating point calls a fracture against the region's only answer.
        (0.9, 0.9, ("not fractured",), "uncertain"),
    ],
)
def test_a_call_is_certain_where_the_region_holds_only_that_answer(low, high, answers, call):
    assert 0.2 < PROB < 0.9
    found = judge(scores(0.5), pair(region(low, high)))
    assert (found.answers, found.call) == (answers, call)
    assert found.headline == "Fracture suspected"
    assert bool(found.uncertainty) == (call == "uncertain")


def test_the_percentile_counts_reference_studies_with_at_most_the_score():
    assert [judge(scores(s), pair()).percentile for s in (0.39, 0.4, 0.55, 1.0, 7.0)] == [
        0, 25, 50, 100, 100,
    ]  # fmt: skip


def test_the_file_gets_plain_values():
    found = judge(scores(0.5), pair(region(0.1, 0.9))).to_json()
    assert found["call"] == "uncertain"
    assert found["in_distribution"] is True
    assert found["distribution_score"] == 0.5
    assert found["distribution_percentile"] == 50
    assert found["threshold"] == 0.4
    assert found["region"] == ["fractured", "not fractured"]
    assert "both answers" in found["reason"]

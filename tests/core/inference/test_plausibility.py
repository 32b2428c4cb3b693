from __future__ import annotations

import numpy as np
import pytest

from core.config import PROJECT_ROOT
from core.constants import VERTEBRAE
from core.experiments.cohorts import SHIPPED
from core.inference.outputs import read_slices
from core.inference.plausibility import check_levels
from core.inference.study_scores import score_study
from tests.core.inference.test_study_scores import predictions


def study(slice_mm=2.0, **spans):
    """Scores of 100 slices with these first and last slices by level."""
    presence = np.zeros((100, 7))
    for name, (first, last) in spans.items():
        presence[first : last + 1, VERTEBRAE.index(name)] = 1
    made = predictions(presence, np.full((100, 7), 0.1))
    made.z_mm[:] = 100.0 - slice_mm * np.arange(100)
    return score_study(made)


def faults(scores):
    return [(problem.fault, problem.levels) for problem in check_levels(scores).problems]


WHOLE = {name: (8 * j, 8 * j + 9) for j, name in enumerate(VERTEBRAE)}


def without(*names, **others):
    return {name: span for name, span in WHOLE.items() if name not in names} | others


@pytest.mark.parametrize(
    "spans", [WHOLE, without("C1"), without("C1", "C2", "C7"), {"C4": (0, 20)}]
)
def test_a_spine_and_any_part_of_it_are_plausible(spans):
    found = check_levels(study(**spans))
    assert found.plausible
    assert found.problems == ()


def test_c7_above_c1_is_out_of_order():
    spans = {name: WHOLE[other] for name, other in zip(VERTEBRAE, VERTEBRAE[::-1], strict=True)}
    found = check_levels(study(**spans))
    assert not found.plausible
    assert {problem.fault for problem in found.problems} == {"order"}
    assert faults(study(C1=(40, 49), C7=(0, 9)))[-1] == ("order", ("C1", "C7"))


def test_a_level_that_spans_66_mm_is_too_tall():
    assert faults(study(**without("C1", "C2", C3=(0, 32)))) == [("height", ("C3",))]
    # 29 slices of 2 mm are 58 mm, as tall as C7 of a synthetic study.
    assert faults(study(**without("C1", "C2", C3=(5, 33)))) == []
    (problem,) = check_levels(study(**without("C1", "C2", C3=(0, 32)))).problems
    assert problem.text == "C3 spans 66 mm"


def test_a_level_missing_between_two_that_are_seen_is_named():
    assert faults(study(**without("C5"))) == [("missing", ("C5",))]
    assert faults(study(C1=(0, 9), C4=(30, 40))) == [("missing", ("C2",)), ("missing", ("C3",))]


def test_neighbours_far_apart_leave_a_gap():
    # Slices 10 to 19 are 20 mm; one more is too many.
    assert faults(study(C3=(0, 9), C4=(20, 29))) == []
    assert faults(study(C3=(0, 9), C4=(21, 29))) == [("gap", ("C3", "C4"))]


def test_a_scan_without_a_cervical_vertebra_has_no_reading():
    assert faults(study()) == [("none seen", ())]


@pytest.mark.parametrize("cohort", SHIPPED, ids=lambda cohort: cohort.truth_id)
def test_every_study_of_the_shipped_cohorts_is_plausible(cohort):
    folder = PROJECT_ROOT / "checkpoints" / "fracture_type1"
    for made in read_slices(cohort.predictions_file(folder)):
        assert check_levels(score_study(made)).plausible, made.study_id

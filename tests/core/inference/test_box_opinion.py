from __future__ import annotations

from dataclasses import replace

import pytest

from core.config import PROJECT_ROOT
from core.demo_localizer import NAME
from core.demo_scores import PREDICTIONS_FOLDER
from core.evaluation.box_files import read_box_cohort
from core.inference.aggregation import aggregate
from core.inference.agreement import agreement, box_opinion
from core.inference.outputs import read_slices
from core.models.bundles import read_bundle


@pytest.fixture(scope="module")
def localizer():
    return read_bundle(PROJECT_ROOT / "checkpoints" / NAME)


@pytest.fixture(scope="module")
def shipped(localizer):
    """Boxes, presence and stored scores of one held-out study."""
    raw = read_box_cohort(localizer.folder / PREDICTIONS_FOLDER).raw[3]
    table = (
        PROJECT_ROOT / "checkpoints" / "vertebra_type1" / PREDICTIONS_FOLDER / "held_out.parquet"
    )
    seen = next(s for s in read_slices(table) if s.study_id == raw.study_id)
    stored = read_slices(localizer.folder / PREDICTIONS_FOLDER / "held_out.parquet")
    return raw, seen, next(s for s in stored if s.study_id == raw.study_id)


def test_boxes_give_the_opinion_that_was_measured(localizer, shipped):
    raw, seen, stored = shipped
    found = box_opinion(raw, seen, localizer)
    measured = aggregate(stored)
    assert found.probs == pytest.approx(measured.vertebra_probs, abs=1e-3)
    assert found.patient_prob == pytest.approx(measured.patient_prob, abs=1e-3)
    points = localizer.operating_points
    assert found.patient == (found.patient_prob >= points["patient"]["threshold"])
    for prob, called in zip(found.probs, found.vertebrae, strict=True):
        assert called in (None, prob >= points["vertebra"]["threshold"])
    assert found.type is None
    assert agreement([found]).unanimous


def test_boxes_of_another_study_are_refused(localizer, shipped):
    raw, seen, _ = shipped
    with pytest.raises(ValueError, match="do not go with"):
        box_opinion(replace(raw, study_id="1.2.3"), seen, localizer)

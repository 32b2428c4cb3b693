from __future__ import annotations

import numpy as np
import pytest

from core.constants import BOXES_TYPE
from core.inference.aggregation import aggregate
from core.inference.box_evidence import NO_BOX, box_outputs, slice_box_scores, with_context
from core.inference.box_tracks import FusionSettings
from core.inference.context import in_context
from core.models.bundles import VertebraContext
from core.types import RawDetections, SlicePredictions

PLAIN = FusionSettings(method="nms", neighbour_weight=0.0, track_iou=0.0, track_share=0.0)


def raw(slices, scores, n_slices=6, study_id="1.2.3") -> RawDetections:
    n = len(slices)
    corner = 30.0 * np.arange(n)[:, np.newaxis]
    return RawDetections(
        study_id=study_id, slice_index=np.array(slices, np.int64),
        xyxy=np.hstack([corner, corner, corner + 10, corner + 10]).reshape(-1, 4),
        scores=np.array(scores, np.float64), source=np.zeros(n, np.int64), n_sources=1,
        z_mm=-np.arange(float(n_slices)), file_numbers=np.arange(n_slices), models=("boxes",),
    )  # fmt: skip


def seen(n_slices=6, study_id="1.2.3") -> SlicePredictions:
    """C3 on the first three slices, C4 on the others."""
    presence = np.zeros((n_slices, 7), np.float32)
    presence[:3, 2] = presence[3:, 3] = 1.0
    return SlicePredictions(
        study_id=study_id, z_mm=-np.arange(float(n_slices)), vertebra_probs=presence,
        fracture_probs=np.zeros((n_slices, 7), np.float32), fracture_type=2,
        instance_numbers=tuple(range(10, 10 + n_slices)), models=("vertebrae", "other"),
    )  # fmt: skip


def test_a_slice_scores_as_its_best_box():
    found = slice_box_scores(raw([1, 1, 4], [0.25, 0.75, 0.5]), PLAIN)
    assert found.tolist() == pytest.approx([NO_BOX, 0.75, NO_BOX, NO_BOX, 0.5, NO_BOX])


def test_no_box_at_all_is_a_low_score_and_not_an_error():
    assert slice_box_scores(raw([], []), FusionSettings()) == pytest.approx([NO_BOX] * 6)


def test_presence_says_whose_the_box_is():
    found = box_outputs(raw([1], [0.9]), seen(), PLAIN)
    assert found.fracture_type == BOXES_TYPE
    assert found.models == ("vertebrae", "boxes")
    assert found.instance_numbers == (10, 11, 12, 13, 14, 15)
    patient = aggregate(found)
    c3, c4 = patient.vertebra_probs[2:4]
    assert c3 == pytest.approx((0.9 + 2 * NO_BOX) / 3)
    assert c4 == pytest.approx(NO_BOX)


def test_the_context_is_that_of_the_fracture_networks():
    context = VertebraContext(top_k=2, local=0.3, vertebra=1.3, intercept=-2.0)
    plain = box_outputs(raw([1, 2], [0.9, 0.8]), seen(), PLAIN)
    found = with_context(plain, context)
    expected = in_context(plain.fracture_probs, plain.vertebra_probs, context, shared=False)
    assert np.array_equal(found.fracture_probs, expected)
    # Slice 0 has no box, but its vertebra has two.
    assert found.fracture_probs[0, 2] > 10 * found.fracture_probs[3, 3]


@pytest.mark.parametrize("other", [seen(5), seen(study_id="4.5.6")])
def test_predictions_of_another_study_are_refused(other):
    with pytest.raises(ValueError, match="do not go with"):
        box_outputs(raw([1], [0.9]), other)

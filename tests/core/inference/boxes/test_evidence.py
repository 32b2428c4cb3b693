from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.constants import BOXES_TYPE
from core.errors import TrainingError
from core.inference.aggregation import aggregate
from core.inference.boxes.evidence import (
    NO_BOX,
    POWERS,
    BoxEvidence,
    box_outputs,
    fit_box_weights,
    gather_evidence,
    track_owners,
    vertebra_evidence,
)
from core.inference.boxes.tracks import Detections, FusionSettings
from core.models.bundles import BoxWeights
from core.types import RawDetections, SlicePredictions

WEIGHTS = BoxWeights(owner_power=2.0, score_power=4.0, local=0.25, vertebra=0.75, intercept=-1.0)
PLAIN = FusionSettings(method="nms", neighbour_weight=0.0, track_iou=0.0, track_share=0.0)


def raw(slices, scores, n_slices=6, study_id="1.2.3") -> RawDetections:
    n = len(slices)
    corner = 30.0 * np.arange(n)[:, np.newaxis]
    return RawDetections(
        study_id=study_id, slice_index=np.array(slices, np.int64),
        xyxy=np.hstack([corner, corner, corner + 10, corner + 10]).reshape(-1, 4),
        scores=np.array(scores, np.float64), source=np.zeros(n, np.int64), n_sources=1,
        z_mm=-np.arange(float(n_slices)), models=("boxes",),
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


def odds(p):
    return np.log(p / (1 - p))


def test_a_slice_scores_as_its_best_box():
    found = gather_evidence(raw([1, 1, 4], [0.25, 0.75, 0.5]), seen().vertebra_probs, PLAIN)
    assert found.slices.tolist() == pytest.approx([NO_BOX, 0.75, NO_BOX, NO_BOX, 0.5, NO_BOX])
    # Three boxes that nothing links are three tracks; a lone box is a third of a track.
    assert sorted(found.tracks) == pytest.approx([0.25 / 3, 0.5 / 3, 0.75 / 3])


def track(slices, numbers) -> Detections:
    n = len(slices)
    return Detections(
        "1.2.3", np.array(slices, np.int64), np.tile([0.0, 0.0, 9.0, 9.0], (n, 1)),
        np.ones(n), np.array(numbers, np.int64), 6,
    )  # fmt: skip


def test_a_track_belongs_to_the_vertebra_in_view_on_most_of_its_slices():
    presence = np.zeros((6, 7), np.float32)
    presence[0:4, 2] = [1.0, 1.0, 1.0, 0.5]
    presence[2:6, 3] = [0.25, 1.0, 1.0, 1.0]
    owners = track_owners(track([0, 1, 2, 3, 5], [0, 0, 0, 0, 1]), presence)
    # C3 is seen on 1 + 1 + 1 + 0.5 slices of the first track, C4 on 0.25 + 1.
    np.testing.assert_allclose(owners[0, 2:4], [1.0, 1.25 / 3.5])
    np.testing.assert_allclose(owners[1, 2:4], [0.0, 1.0])
    assert owners[:, [0, 1, 4, 5, 6]].max() == 0
    # A box where no vertebra is in view belongs to none, and a study without boxes has no track.
    np.testing.assert_allclose(track_owners(track([1], [0]), np.zeros((6, 7), np.float32)), 0)
    assert track_owners(track([], []), presence).shape == (0, 7)


def evidence(tracks, owners, slices=(NO_BOX,) * 6) -> BoxEvidence:
    return BoxEvidence(np.array(slices), np.array(tracks, np.float64), np.array(owners, np.float64))


def test_tracks_of_a_vertebra_add_up_as_a_noisy_or():
    two = evidence([0.9, 0.5], [[0, 0, 1, 0.5, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0]])
    found = vertebra_evidence(two, owner_power=2, score_power=1)
    assert found[2] == pytest.approx(1 - 0.1 * 0.5)
    assert found[3] == pytest.approx(0.9 * 0.25)
    assert found[[0, 1, 4, 5, 6]] == pytest.approx([NO_BOX] * 5)
    faint = vertebra_evidence(two, owner_power=2, score_power=4)
    assert faint[2] == pytest.approx(1 - (1 - 0.9**4) * (1 - 0.5**4))
    # A certain track leaves room for doubt, and no track at all is no certainty either.
    sure = evidence([1.0], [[1, 0, 0, 0, 0, 0, 0]])
    found = vertebra_evidence(sure, owner_power=1, score_power=1)
    assert found[:2] == pytest.approx([1 - NO_BOX, NO_BOX])
    none = vertebra_evidence(evidence([], np.zeros((0, 7))), owner_power=1, score_power=1)
    assert none == pytest.approx([NO_BOX] * 7)


def test_outputs_are_the_sigmoid_of_both_log_odds():
    # One track of three slices of C3, the last of which C4 shares.
    shared = seen()
    presence = shared.vertebra_probs.copy()
    presence[2, 3] = 1.0
    boxes = RawDetections(
        study_id="1.2.3", slice_index=np.arange(3), xyxy=np.tile([0.0, 0, 9, 9], (3, 1)),
        scores=np.full(3, 0.9), source=np.zeros(3, np.int64), n_sources=1,
        z_mm=-np.arange(6.0), models=("boxes",),
    )  # fmt: skip
    linked = replace(PLAIN, track_iou=0.2)
    found = box_outputs(boxes, replace(shared, vertebra_probs=presence), WEIGHTS, linked)
    whole = {2: 0.9**4, 3: 0.9**4 / 9, 5: NO_BOX}
    for slice_score, rows in ((0.9, slice(0, 3)), (NO_BOX, slice(3, 6))):
        for vertebra, said in whole.items():
            logit = -1.0 + 0.25 * odds(slice_score) + 0.75 * odds(said)
            expected = 1 / (1 + np.exp(-logit))
            np.testing.assert_allclose(found.fracture_probs[rows, vertebra], expected, rtol=1e-5)
    assert found.fracture_type == BOXES_TYPE
    assert found.models == ("vertebrae", "boxes")
    assert found.instance_numbers == (10, 11, 12, 13, 14, 15)
    patient = aggregate(found)
    assert patient.vertebra_probs[2] > 5 * patient.vertebra_probs[3] > 0


def test_a_study_without_boxes_has_low_scores():
    found = box_outputs(raw([], []), seen(), WEIGHTS).fracture_probs
    expected = 1 / (1 + np.exp(1.0 - odds(NO_BOX)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("other", [seen(5), seen(study_id="4.5.6")])
def test_predictions_of_another_study_are_refused(other):
    with pytest.raises(ValueError, match="do not fit predictions"):
        box_outputs(raw([1], [0.9]), other, WEIGHTS)


def drawn_studies(owner_power, score_power, count=300, seed=3):
    """Studies whose truth is drawn from given weights: two tracks each, C3 and C4 in view."""
    rng = np.random.default_rng(seed)
    presence = np.zeros((8, 7), np.float32)
    presence[:5, 2] = presence[4:, 3] = 1.0
    made = []
    for _ in range(count):
        owners = np.zeros((2, 7))
        owners[np.arange(2), rng.permutation([2, 3])] = 1.0
        owners[np.arange(2), [3, 2]] += rng.uniform(0, 1, 2) * (owners[np.arange(2), [3, 2]] == 0)
        one = evidence(rng.uniform(0, 1, 2), owners, rng.uniform(0.01, 0.99, 8))
        said = vertebra_evidence(one, owner_power=owner_power, score_power=score_power)
        logit = -0.5 + 0.2 * odds(one.slices)[:, np.newaxis] + 1.1 * odds(said)
        truth = rng.uniform(size=(8, 7)) < 1 / (1 + np.exp(-logit))
        made.append((one, presence, truth & (presence > 0.5)))
    return made


@pytest.mark.parametrize(("owner_power", "score_power"), [(1.0, 4.0), (4.0, 1.0)])
def test_the_fit_finds_the_weights_that_the_truth_was_drawn_from(owner_power, score_power):
    found = fit_box_weights(drawn_studies(owner_power, score_power))
    assert (found.owner_power, found.score_power) == (owner_power, score_power)
    assert found.local == pytest.approx(0.2, abs=0.1)
    assert found.vertebra == pytest.approx(1.1, abs=0.2)
    assert found.intercept == pytest.approx(-0.5, abs=0.3)
    assert found.owner_power in POWERS


def test_slices_without_a_vertebra_take_no_part_in_the_fit():
    studies = drawn_studies(2.0, 2.0, count=60)
    loud = [(one, presence, truth | (presence < 0.5)) for one, presence, truth in studies]
    assert fit_box_weights(loud) == fit_box_weights(studies)


@pytest.mark.parametrize("truth", [True, False, None])
def test_one_class_cannot_be_fitted(truth):
    studies = (
        []
        if truth is None
        else [
            (one, presence, np.full((8, 7), truth)) for one, presence, _ in drawn_studies(1, 1, 3)
        ]
    )
    with pytest.raises(TrainingError, match="one class"):
        fit_box_weights(studies)

"""Weighted boxes fusion against its paper's definitions, and the two suppressions beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.inference.boxes.fusion import weighted_boxes_fusion
from core.inference.boxes.suppression import suppress
from core.preprocessing.box_geometry import box_iou

UNIT = np.array([[10.0, 10.0, 20.0, 20.0]])


def _paper(xyxy, scores, models, weights, iou):
    """The paper's list of clusters, one box at a time and without running sums."""
    clusters = []
    for row in np.argsort(-scores * weights[models], kind="stable"):
        overlaps = [box_iou(xyxy[row][None], c["box"][None])[0, 0] for c in clusters]
        if overlaps and max(overlaps) > iou:
            cluster = clusters[int(np.argmax(overlaps))]
        else:
            cluster = {"rows": []}
            clusters.append(cluster)
        cluster["rows"].append(row)
        confidence = scores[cluster["rows"]] * weights[models[cluster["rows"]]]
        cluster["box"] = (xyxy[cluster["rows"]] * confidence[:, None]).sum(0) / confidence.sum()
    rows = []
    for cluster in clusters:
        members = weights[models[cluster["rows"]]]
        mean = (scores[cluster["rows"]] * members).sum() / members.sum()
        agreement = min(members.sum(), weights.sum()) / weights.sum()
        rows.append([*cluster["box"], mean * agreement])
    return np.array(sorted(rows, key=lambda row: -row[4]))


@st.composite
def boxes_of_models(draw):
    n = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    corner = rng.uniform(0, 30, (n, 2))
    xyxy = np.hstack([corner, corner + rng.uniform(4, 20, (n, 2))])
    return xyxy, rng.uniform(0.01, 1, n), rng.integers(0, 3, n)


@settings(max_examples=60, deadline=None)
@given(boxes_of_models(), st.floats(0.1, 0.9))
def test_fusion_is_what_the_paper_describes(made, iou):
    xyxy, scores, models = made
    weights = np.array([1.0, 2.0, 0.5])
    found = weighted_boxes_fusion(xyxy, scores, models, weights=weights, iou_threshold=iou)
    expected = _paper(xyxy, scores, models, weights, iou)
    np.testing.assert_allclose(np.column_stack([found.xyxy, found.scores]), expected)


def test_one_box_of_one_model_stays_as_it_is():
    found = weighted_boxes_fusion(UNIT, np.array([0.7]))
    np.testing.assert_allclose(found.xyxy, UNIT)
    np.testing.assert_allclose(found.scores, [0.7])


def test_a_box_that_one_of_two_models_saw_counts_half():
    found = weighted_boxes_fusion(UNIT, np.array([0.8]), np.array([1]), weights=(1, 1))
    np.testing.assert_allclose(found.scores, [0.4])


def test_a_box_of_the_heavier_model_counts_by_its_share_of_the_weights():
    found = weighted_boxes_fusion(UNIT, np.array([0.8]), np.array([1]), weights=(1, 3))
    np.testing.assert_allclose(found.scores, [0.8 * 3 / 4])


def test_identical_boxes_of_all_models_keep_box_and_mean_score():
    found = weighted_boxes_fusion(
        np.repeat(UNIT, 3, axis=0), np.array([0.9, 0.6, 0.3]), np.arange(3), weights=(1, 1, 1)
    )
    np.testing.assert_allclose(found.xyxy, UNIT)
    np.testing.assert_allclose(found.scores, [0.6])
    assert found.members.tolist() == [0, 0, 0]


def test_more_boxes_than_models_do_not_lift_the_score_above_their_mean():
    found = weighted_boxes_fusion(np.repeat(UNIT, 5, axis=0), np.full(5, 0.5))
    np.testing.assert_allclose(found.scores, [0.5])


def test_corners_are_weighted_by_scores():
    two = np.array([[0.0, 0, 10, 10], [2.0, 0, 12, 10]])
    found = weighted_boxes_fusion(two, np.array([0.75, 0.25]), np.arange(2), weights=(1, 1))
    np.testing.assert_allclose(found.xyxy, [[0.5, 0, 10.5, 10]])


def test_disjoint_boxes_are_not_fused_and_come_best_first():
    far = np.array([[0.0, 0, 5, 5], [50.0, 50, 60, 60]])
    found = weighted_boxes_fusion(far, np.array([0.2, 0.9]))
    np.testing.assert_allclose(found.xyxy, far[::-1])
    assert found.members.tolist() == [1, 0]


def test_overlap_must_exceed_the_threshold():
    halves = np.array([[0.0, 0, 10, 10], [0.0, 0, 10, 5]])  # IoU is 0.5.
    at, below = 0.5, 0.49
    assert len(weighted_boxes_fusion(halves, np.array([0.9, 0.8]), iou_threshold=at)) == 2
    assert len(weighted_boxes_fusion(halves, np.array([0.9, 0.8]), iou_threshold=below)) == 1


def test_highest_score_rule():
    found = weighted_boxes_fusion(
        np.repeat(UNIT, 2, axis=0), np.array([0.9, 0.1]), np.arange(2), weights=(1, 1),
        score_rule="maximum",
    )  # fmt: skip
    np.testing.assert_allclose(found.scores, [0.9])


def test_skipped_boxes_belong_to_nothing():
    found = weighted_boxes_fusion(np.repeat(UNIT, 2, axis=0), np.array([0.9, 0.1]), skip_below=0.2)
    assert found.members.tolist() == [0, -1]


def test_scores_of_zero_keep_their_place():
    found = weighted_boxes_fusion(UNIT, np.array([0.0]))
    np.testing.assert_allclose(found.xyxy, UNIT)


@settings(max_examples=30, deadline=None)
@given(boxes_of_models(), st.integers(1, 6))
def test_groups_are_fused_as_if_each_stood_alone(made, n_groups):
    xyxy, scores, models = made
    groups = np.arange(len(scores)) % n_groups + 7
    together = weighted_boxes_fusion(
        xyxy, scores, models, groups, weights=(1, 1, 1), iou_threshold=0.3
    )
    names = together.of_members(groups)
    assert np.all(np.diff(names) >= 0)
    for name in np.unique(groups):
        rows = groups == name
        alone = weighted_boxes_fusion(
            xyxy[rows], scores[rows], models[rows], weights=(1, 1, 1), iou_threshold=0.3
        )
        np.testing.assert_allclose(together.xyxy[names == name], alone.xyxy)
        np.testing.assert_allclose(together.scores[names == name], alone.scores)
        member = together.members[rows]
        np.testing.assert_allclose(together.scores[member], alone.scores[alone.members])


def test_suppression_keeps_the_best_of_overlapping_boxes():
    boxes = np.array([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [40.0, 40, 50, 50]])
    scores = np.array([0.5, 0.9, 0.1])
    found = suppress("nms", boxes, scores, iou_threshold=0.5, skip_below=0.0)
    np.testing.assert_allclose(found.xyxy, boxes[[1, 2]])
    assert found.members.tolist() == [0, 0, 1]


@settings(max_examples=40, deadline=None)
@given(boxes_of_models(), st.floats(0.1, 0.9))
def test_suppression_agrees_with_torchvision(made, iou):
    torch = pytest.importorskip("torch")
    from torchvision.ops import nms

    xyxy, scores, _ = made
    expected = nms(torch.from_numpy(xyxy), torch.from_numpy(scores), iou).numpy()
    found = suppress("nms", xyxy, scores, iou_threshold=iou, skip_below=0.0)
    np.testing.assert_allclose(found.xyxy, xyxy[expected])


def test_soft_suppression_lowers_by_the_gaussian_of_the_overlap():
    boxes = np.array([[0.0, 0, 10, 10], [0.0, 0, 10, 5]])  # IoU is 0.5.
    scores = np.array([0.9, 0.8])
    found = suppress("soft-nms", boxes, scores, iou_threshold=0.5, skip_below=0.0)
    np.testing.assert_allclose(found.scores, [0.9, 0.8 * np.exp(-(0.5**2) / 0.5)])


def test_soft_suppression_drops_what_falls_below_the_limit():
    boxes, scores = np.repeat(UNIT, 2, axis=0), np.array([0.9, 0.8])
    found = suppress("soft-nms", boxes, scores, iou_threshold=0.1, skip_below=0.01)
    assert found.members.tolist() == [0, -1]


@pytest.mark.parametrize("method", ["nms", "soft-nms", "none"])
def test_every_method_takes_no_box_and_skips_low_ones(method):
    empty = suppress(method, np.empty((0, 4)), np.empty(0), iou_threshold=0.5, skip_below=0.1)
    assert len(empty) == 0
    assert len(weighted_boxes_fusion(np.empty((0, 4)), np.empty(0))) == 0
    two = suppress(
        method, UNIT + np.array([[0], [40]]), np.array([0.05, 0.5]),
        iou_threshold=0.5, skip_below=0.1,
    )  # fmt: skip
    np.testing.assert_allclose(two.xyxy, UNIT + 40)
    assert two.members.tolist() == [-1, 0]


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="2 scores need boxes"):
        weighted_boxes_fusion(UNIT, np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="of another model"):
        weighted_boxes_fusion(UNIT, np.array([0.5]), np.array([1]))


@settings(max_examples=40, deadline=None)
@given(boxes_of_models(), st.floats(0.1, 0.9), st.floats(0.001, 0.05))
def test_fusion_does_not_depend_on_the_unit_of_length(made, iou, scale):
    xyxy, scores, models = made
    weights = (1.0, 2.0, 0.5)
    large = weighted_boxes_fusion(xyxy, scores, models, weights=weights, iou_threshold=iou)
    small = weighted_boxes_fusion(xyxy * scale, scores, models, weights=weights, iou_threshold=iou)
    np.testing.assert_allclose(small.xyxy, large.xyxy * scale)
    np.testing.assert_allclose(small.scores, large.scores)


def test_the_highest_score_is_on_the_scale_of_the_heaviest_model():
    found = weighted_boxes_fusion(
        np.repeat(UNIT, 2, axis=0), np.array([0.8, 0.6]), np.array([0, 1]), weights=(2.0, 4.0),
        score_rule="maximum",
    )  # fmt: skip
    # 2 * 0.8 against 4 * 0.6, of at most 4.
    np.testing.assert_allclose(found.scores, [0.6])


def test_boxes_without_area_are_not_fused_and_models_of_weight_zero_score_zero():
    point = np.array([[5.0, 5.0, 5.0, 5.0]])
    apart = weighted_boxes_fusion(np.repeat(point, 2, axis=0), np.array([0.8, 0.6]))
    assert len(apart) == 2
    assert np.isfinite(apart.xyxy).all()
    silent = weighted_boxes_fusion(UNIT, np.array([0.8]), np.array([0]), weights=(0.0, 1.0))
    assert silent.scores.tolist() == [0.0]
    assert weighted_boxes_fusion(UNIT, np.array([0.8]), weights=(0.0,)).scores.tolist() == [0.0]


@pytest.mark.parametrize("weights", [(), (-1.0,), ((1.0,),)])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(ValueError, match="weight of 0 or more"):
        weighted_boxes_fusion(UNIT, np.array([0.8]), weights=weights)


def test_a_slice_with_fewer_clusters_than_another_still_joins_its_own():
    same = [[0.0, 0, 10, 10]] * 3
    apart = [[50.0 * k, 0, 50.0 * k + 10, 10] for k in range(3)]
    groups = np.array([0, 0, 0, 1, 1, 1])
    fused = weighted_boxes_fusion(
        np.array(same + apart), np.array([0.9, 0.8, 0.7] * 2), groups=groups
    )
    assert fused.of_members(groups).tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(fused.xyxy, [same[0], *apart])

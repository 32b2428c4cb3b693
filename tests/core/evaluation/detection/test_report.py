"""Detection measures against COCO's own evaluation, hand-worked cases and plain bootstraps."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.errors import PredictionsError
from core.evaluation.detection.froc import (
    froc_boxes,
    froc_curve,
    froc_fractures,
    sensitivity_at_draws,
)
from core.evaluation.detection.matching import BoxTable, best_matches, match_greedily, pair_boxes
from core.evaluation.detection.report import (
    box_average_precision,
    evaluate_detection,
    overlap_at,
)
from core.evaluation.resampling import resample_patients


def table(rows, *, truth=False):
    """Rows of (study, slice, x0, y0, x1, y1, score, track); a truth's score is 1."""
    values = np.array(rows, dtype=np.float64).reshape(-1, 8)
    scores = np.ones(len(values)) if truth else values[:, 6]
    whole = values[:, [0, 1, 7]].astype(np.int64)
    return BoxTable(whole[:, 0], whole[:, 1], values[:, 2:6], scores, whole[:, 2])


def made_cohort(seed, *, studies=6, slices=8):
    """Truths with zero to two boxes a slice, and noisy predictions of them among false ones."""
    rng = np.random.default_rng(seed)
    truth, predicted = [], []
    for study in range(studies):
        for index in range(slices):
            for track in range(rng.integers(0, 3)):
                corner = rng.uniform(0, 60, 2)
                box = np.hstack([corner, corner + rng.uniform(8, 30, 2)])
                truth.append([study, index, *box, 1, track])
                for _ in range(rng.integers(0, 3)):
                    moved = box + rng.uniform(-4, 4, 4)
                    predicted.append([study, index, *moved, rng.uniform(), track])
            for extra in range(rng.integers(0, 3)):
                corner = rng.uniform(0, 60, 2)
                box = np.hstack([corner, corner + rng.uniform(8, 30, 2)])
                predicted.append([study, index, *box, rng.uniform(), 10 + extra])
    return table(predicted), table(truth, truth=True), np.full(studies, slices)


def coco_ap(predicted, truth, iou):
    """pycocotools' AP, every slice an image."""
    keys = {key: k + 1 for k, key in enumerate(sorted({*predicted.slice_key, *truth.slice_key}))}

    def box(xyxy):
        return [xyxy[0], xyxy[1], xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]]

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": k} for k in keys.values()],
            "categories": [{"id": 1}],
            "annotations": [
                {
                    "id": i + 1, "image_id": keys[truth.slice_key[i]], "category_id": 1,
                    "bbox": box(truth.xyxy[i]), "iscrowd": 0,
                    "area": float(np.prod(box(truth.xyxy[i])[2:])),
                }
                for i in range(len(truth))
            ],
        }  # fmt: skip
        known.createIndex()
        found = known.loadRes(
            [
                {
                    "image_id": keys[predicted.slice_key[i]], "category_id": 1,
                    "bbox": box(predicted.xyxy[i]), "score": float(predicted.scores[i]),
                }
                for i in range(len(predicted))
            ]
        )  # fmt: skip
        evaluation = COCOeval(known, found, "bbox")
        evaluation.params.iouThrs = np.array([iou])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, 0, 0, -1]
    return float(precision.mean())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("iou", [0.1, 0.3, 0.5])
def test_average_precision_is_cocos(seed, iou):
    predicted, truth, _ = made_cohort(seed)
    matched = match_greedily(pair_boxes(predicted, truth), predicted.scores, iou=iou)
    found = box_average_precision(matched, predicted.scores, len(truth))
    assert found == pytest.approx(coco_ap(predicted, truth, iou), abs=1e-9)
    assert 0 < found < 1


def test_overlaps_of_the_best_scored_and_of_the_nearest_box():
    truth = table([[0, 3, 0, 0, 10, 10, 1, 0], [1, 0, 0, 0, 10, 10, 1, 0]], truth=True)
    predicted = table(
        [
            [0, 3, 0, 0, 10, 5, 0.9, 0],  # IoU 0.5, the best score
            [0, 3, 0, 0, 10, 8, 0.4, 1],  # IoU 0.8
            [0, 4, 0, 0, 10, 10, 1.0, 2],  # on another slice
        ]
    )
    top, most, _ = best_matches(pair_boxes(predicted, truth), predicted, 2)
    np.testing.assert_allclose(top, [0.5, 0])
    np.testing.assert_allclose(most, [0.8, 0])


def test_a_true_box_is_found_once():
    truth = table([[0, 0, 0, 0, 10, 10, 1, 0]], truth=True)
    predicted = table([[0, 0, 0, 0, 10, 10, 0.8, 0], [0, 0, 0, 0, 10, 9, 0.9, 1]])
    matched = match_greedily(pair_boxes(predicted, truth), predicted.scores, iou=0.5)
    assert matched.tolist() == [False, True]


def test_the_overlap_at_many_thresholds_is_that_of_a_report_at_each():
    rng = np.random.default_rng(3)
    truth = table([[s, z, 0, 0, 10, 10, 1, 0] for s in range(4) for z in range(3)], truth=True)
    predicted = table(
        [[s, z, 0, 0, 10, int(rng.integers(2, 11)), float(rng.integers(0, 9)) / 8, z]
         for s in range(4) for z in range(5) for _ in range(2)]
    )  # fmt: skip
    thresholds = np.linspace(0, 1.1, 23)
    found = overlap_at(predicted, truth, thresholds)
    expected = [
        evaluate_detection(predicted, truth, [9] * 4, threshold=t, replicates=0).mean_counted_iou
        for t in thresholds
    ]
    assert found.tolist() == expected
    assert len(set(expected)) > 3


def test_report_by_hand():
    truth = table(
        [[0, 1, 0, 0, 10, 10, 1, 0], [0, 2, 0, 0, 10, 10, 1, 0], [1, 5, 20, 20, 30, 30, 1, 0]],
        truth=True,
    )
    predicted = table(
        [
            [0, 1, 0, 0, 10, 10, 0.9, 0],  # exact
            [0, 2, 0, 0, 10, 4, 0.6, 0],  # IoU 0.4, centre inside
            [1, 4, 0, 0, 10, 10, 0.7, 0],  # false
            [1, 5, 20, 20, 30, 30, 0.2, 1],  # exact, below the threshold
        ]
    )
    report = evaluate_detection(predicted, truth, [10, 10], threshold=0.5, replicates=0)
    # The threshold decides which boxes count, not which is the best-scored one.
    assert report.mean_top_iou == pytest.approx((1 + 0.4 + 1) / 3)
    assert report.hit_rate == 1.0
    assert report.mean_counted_iou == pytest.approx((1 + 0.4 + 0) / 3)
    assert report.counted_iou.tolist() == pytest.approx([1, 0.4, 0])
    assert (report.true_boxes, report.true_fractures, report.slices) == (3, 2, 20)
    at = {level.iou: level for level in report.levels}
    assert at[0.3].precision == pytest.approx(2 / 3)
    assert at[0.3].recall == pytest.approx(2 / 3)
    assert at[0.5].recall == pytest.approx(1 / 3)
    assert report.froc_boxes.sensitivity_at(0.0) == pytest.approx(1 / 3)
    assert report.froc_boxes.sensitivity_at(0.5) == pytest.approx(1)
    assert report.froc_boxes.threshold_at(0.4) == pytest.approx(0.9)


def test_a_fracture_is_found_by_a_track_that_hits_it_anywhere():
    truth = table([[0, k, 0, 0, 10, 10, 1, 0] for k in range(4)], truth=True)
    predicted = table(
        [
            [0, 3, 0, 0, 10, 10, 0.3, 0],
            [0, 4, 0, 0, 10, 10, 0.8, 0],  # the same track, beyond the truth
            [0, 9, 0, 0, 10, 10, 0.5, 1],
        ]
    )
    pairs = pair_boxes(predicted, truth)
    curve = froc_fractures(predicted, truth, pairs, np.array([10]))
    np.testing.assert_allclose(curve.lesion_scores, [0.8])
    np.testing.assert_allclose(curve.false_scores, [0.5])
    assert curve.sensitivity_at(0.0) == 1.0
    boxes = froc_boxes(predicted, truth, pairs, np.array([10]))
    assert boxes.sensitivity_at(100) == pytest.approx(1 / 4)
    assert len(boxes.false_scores) == 2


def test_froc_counts_ties_together():
    curve = froc_curve(
        np.array([0.5, -np.inf]), np.zeros(2, np.int64), np.array([0.5, 0.5]),
        np.zeros(2, np.int64), np.array([4]),
    )  # fmt: skip
    assert curve.thresholds.tolist() == [0.5]
    assert curve.sensitivity.tolist() == [0.5]
    assert curve.false_per_study.tolist() == [2.0]
    assert curve.sensitivity_at(1.0) == 0.0


def test_intervals_are_those_of_patients_drawn_one_by_one():
    predicted, truth, n_slices = made_cohort(3)
    report = evaluate_detection(predicted, truth, n_slices, threshold=0.2, replicates=40, seed=5)
    means, counted, sensitivities, precisions = [], [], [], []
    for drawn in resample_patients(len(n_slices), 40, 5):
        copies = [study for study, times in enumerate(drawn) for _ in range(times)]
        again = [_copies(part, copies) for part in (predicted, truth)]
        one = evaluate_detection(*again, np.full(len(copies), 8), threshold=0.2, replicates=0)
        means.append(one.mean_top_iou)
        counted.append(one.mean_counted_iou)
        sensitivities.append(one.froc_boxes.sensitivity_at(1.0))
        precisions.append(one.levels[1].average_precision)
    for interval, sample in (
        (report.intervals["mean_top_iou"], means),
        (report.intervals["mean_counted_iou"], counted),
        (report.intervals["froc_boxes"], sensitivities),
        (report.levels[1].interval, precisions),
    ):
        expected = np.quantile(sample, [0.025, 0.975])
        assert interval is not None
        np.testing.assert_allclose([interval.low, interval.high], expected, atol=0.012)


def _copies(part, studies):
    rows = [part.rows(part.study == study) for study in studies]
    return BoxTable(
        np.concatenate([np.full(len(r), k) for k, r in enumerate(rows)]),
        np.concatenate([r.slice_index for r in rows]),
        np.concatenate([r.xyxy for r in rows]),
        np.concatenate([r.scores for r in rows]),
        np.concatenate([r.track for r in rows]),
    )


def test_sensitivity_of_replicates_without_a_lesion_is_unknown():
    curve = froc_curve(
        np.array([0.5]), np.array([1]), np.array([0.4]), np.array([0]), np.array([3, 3])
    )
    found = sensitivity_at_draws(curve, 1.0, np.array([[2, 0], [0, 2]]))
    assert np.isnan(found[0])
    assert found[1] == 1.0


def test_no_prediction_at_all():
    truth = table([[0, 1, 0, 0, 10, 10, 1, 0]], truth=True)
    report = evaluate_detection(table([]), truth, [5], threshold=0.5, replicates=20)
    assert report.mean_top_iou == report.mean_average_precision == 0.0
    assert report.froc_boxes.sensitivity_at(8) == 0.0
    assert report.levels[0].precision == 0.0


def test_unusable_tables_are_refused():
    truth = table([[0, 1, 0, 0, 10, 10, 1, 0]], truth=True)
    with pytest.raises(PredictionsError, match="no true box"):
        evaluate_detection(table([]), table([], truth=True), [5], threshold=0.5)
    with pytest.raises(PredictionsError, match="NaN"):
        evaluate_detection(table([[0, 0, 0, 0, 1, 1, np.nan, 0]]), truth, [5], threshold=0.5)
    with pytest.raises(PredictionsError, match="none of the 1 studies"):
        evaluate_detection(table([[3, 0, 0, 0, 1, 1, 0.5, 0]]), truth, [5], threshold=0.5)

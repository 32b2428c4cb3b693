"""Detection metrics of boxes: overlap, precision and recall, AP, FROC, with intervals.

Slices without a true box count: a box on them is a false positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.detection.froc import Froc, froc_boxes, froc_fractures, sensitivity_at_draws
from core.evaluation.detection.matching import (
    BoxTable,
    Pairs,
    best_matches,
    match_greedily,
    pair_boxes,
)
from core.evaluation.intervals import Interval, percentiles
from core.evaluation.resampling import resample_patients
from core.types import FloatArray

IOU_LEVELS: Final = (0.1, 0.3, 0.5)
_RECALLS: Final = np.linspace(0.0, 1.0, 101)
_DRAWS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class IouLevel:
    """Detection metrics at one least overlap.

    Attributes:
        iou: Least overlap.
        precision: Share of the boxes at or above the threshold that are true.
        recall: Share of the true boxes found by them.
        average_precision: Over all thresholds; COCO's 101 points.
        interval: Interval of the average precision, over patients.
    """

    iou: float
    precision: float
    recall: float
    average_precision: float
    interval: Interval | None


@dataclass(frozen=True, slots=True, eq=False)
class DetectionReport:
    """Detection metrics of boxes on a cohort.

    Attributes:
        studies: Number of studies.
        slices: Number of slices.
        true_boxes: Number of true boxes.
        true_fractures: Number of true tracks along z.
        threshold: Score from which a box counts.
        mean_top_iou: IoU of the best-scored box on the slice with the true one, whatever its score;
            mean over true boxes, 0 where there is no box.
        mean_best_iou: IoU of the box that overlaps most, likewise.
        hit_rate: Share of true boxes that hold the centre of the best-scored box, likewise.
        mean_counted_iou: As `mean_top_iou`, but 0 where no box reaches the threshold.
        counted_iou: float64 (true_boxes,), the values of `mean_counted_iou`.
        levels: Metrics by least overlap.
        mean_average_precision: Mean of the levels' average precisions.
        froc_boxes: Sensitivity for true boxes against false boxes; hits by centre.
        froc_fractures: Sensitivity for fractures (tracks) against false tracks; hits by centre of
            any box.
        intervals: By name, intervals of the means and of the sensitivities at one false box per
            study.
    """

    studies: int
    slices: int
    true_boxes: int
    true_fractures: int
    threshold: float
    mean_top_iou: float
    mean_best_iou: float
    hit_rate: float
    mean_counted_iou: float
    counted_iou: FloatArray
    levels: tuple[IouLevel, ...]
    mean_average_precision: float
    froc_boxes: Froc
    froc_fractures: Froc
    intervals: dict[str, Interval | None]


def evaluate_detection(
    predicted: BoxTable,
    truth: BoxTable,
    n_slices: Sequence[int] | NDArray[np.int64],
    *,
    threshold: float,
    replicates: int = 1000,
    seed: int = 0,
) -> DetectionReport:
    """Measure boxes on a cohort.

    Args:
        predicted: All predicted boxes, whatever their score.
        truth: The true boxes.
        n_slices: Slices of each study, (studies,).
        threshold: Score from which a box counts in `counted_iou`, precision and recall.
        replicates: Resamples of the patients; 0 for no intervals.
        seed: Seed of the resampling.

    Raises:
        PredictionsError: There is no true box, a box belongs to no study, or a score is not finite.
    """
    counts = np.asarray(n_slices, dtype=np.int64)
    _check(predicted, truth, len(counts))
    pairs = pair_boxes(predicted, truth)
    shown = predicted.rows(predicted.scores >= threshold)
    top, best, hit = best_matches(pairs, predicted, len(truth))
    counted, _, _ = best_matches(pair_boxes(shown, truth), shown, len(truth))
    draws = resample_patients(len(counts), replicates, seed) if replicates else None
    levels = tuple(_level(iou, predicted, truth, pairs, threshold, draws) for iou in IOU_LEVELS)
    boxes = froc_boxes(predicted, truth, pairs, counts)
    fractures = froc_fractures(predicted, truth, pairs, counts)
    intervals: dict[str, Interval | None] = {}
    if draws is not None:
        for name, values in (
            ("mean_top_iou", top), ("mean_best_iou", best), ("hit_rate", hit),
            ("mean_counted_iou", counted),
        ):  # fmt: skip
            intervals[name] = mean_interval(values.astype(np.float64), truth.study, draws)
        for name, curve in (("froc_boxes", boxes), ("froc_fractures", fractures)):
            intervals[name] = percentiles(sensitivity_at_draws(curve, 1.0, draws))
    return DetectionReport(
        studies=len(counts),
        slices=int(counts.sum()),
        true_boxes=len(truth),
        true_fractures=len(np.unique(truth.track_key)),
        threshold=threshold,
        mean_top_iou=float(top.mean()),
        mean_best_iou=float(best.mean()),
        hit_rate=float(hit.mean()),
        mean_counted_iou=float(counted.mean()),
        counted_iou=counted,
        levels=levels,
        mean_average_precision=float(np.mean([level.average_precision for level in levels])),
        froc_boxes=boxes,
        froc_fractures=fractures,
        intervals=intervals,
    )


def overlap_at(predicted: BoxTable, truth: BoxTable, thresholds: FloatArray) -> FloatArray:
    """`mean_counted_iou` at each of several thresholds.

    Args:
        predicted: All predicted boxes, whatever their score.
        truth: The true boxes, at least one.
        thresholds: float64 (t,).

    Returns:
        float64 (t,).
    """
    pairs = pair_boxes(predicted, truth)
    top, _, _ = best_matches(pairs, predicted, len(truth))
    best = np.full(len(truth), -np.inf)
    np.maximum.at(best, pairs.true, predicted.scores[pairs.predicted])
    return np.where(best >= thresholds[:, np.newaxis], top, 0.0).mean(axis=1)


def box_average_precision(matched: NDArray[np.bool_], scores: FloatArray, n_true: int) -> float:
    """Mean over 101 recalls of the highest precision at that recall or beyond, as in COCO.

    Lin et al. 2014 ("Microsoft COCO") and its evaluation code's definition.

    Args:
        matched: bool (n,), from `match_greedily`.
        scores: float64 (n,).
        n_true: Number of true boxes, >= 1.
    """
    order = np.argsort(-scores, kind="stable")
    weights = np.ones((1, len(order)))
    return float(_average_precisions(matched[order], weights, np.array([float(n_true)]))[0])


def mean_interval(
    values: FloatArray, study: NDArray[np.int64], draws: NDArray[np.int64]
) -> Interval | None:
    """Interval of the mean of `values`, patients drawn with all their values."""
    n_studies = draws.shape[1]
    sums = draws @ np.bincount(study, values, minlength=n_studies)
    counts = draws @ np.bincount(study, minlength=n_studies)
    usable = counts > 0
    return percentiles(sums[usable] / counts[usable])


def _level(
    iou: float,
    predicted: BoxTable,
    truth: BoxTable,
    pairs: Pairs,
    threshold: float,
    draws: NDArray[np.int64] | None,
) -> IouLevel:
    matched = match_greedily(pairs, predicted.scores, iou=iou)
    shown = predicted.scores >= threshold
    true_shown = int((matched & shown).sum())
    interval = None
    if draws is not None:
        interval = percentiles(_ap_draws(matched, predicted, truth, draws))
    return IouLevel(
        iou=iou,
        precision=true_shown / int(shown.sum()) if shown.any() else 0.0,
        recall=true_shown / len(truth),
        average_precision=box_average_precision(matched, predicted.scores, len(truth)),
        interval=interval,
    )


def _ap_draws(
    matched: NDArray[np.bool_], predicted: BoxTable, truth: BoxTable, draws: NDArray[np.int64]
) -> FloatArray:
    """Average precision of each replicate, NaN where it drew no true box; float64 (replicates,)."""
    order = np.argsort(-predicted.scores, kind="stable")
    study = predicted.study[order]
    n_true = (draws @ np.bincount(truth.study, minlength=draws.shape[1])).astype(np.float64)
    parts = [
        _average_precisions(
            matched[order],
            draws[start : start + _DRAWS_AT_ONCE][:, study].astype(np.float64),
            n_true[start : start + _DRAWS_AT_ONCE],
        )
        for start in range(0, len(draws), _DRAWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _average_precisions(
    matched: NDArray[np.bool_], weights: FloatArray, n_true: FloatArray
) -> FloatArray:
    """AP of rows of weights (r, n) over predictions by falling score; float64 (r,)."""
    true = np.cumsum(weights * matched, axis=1)
    seen = np.cumsum(weights, axis=1)
    precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    found = np.full(len(weights), np.nan)
    for row, (recalled, best, total) in enumerate(zip(true, envelope, n_true, strict=True)):
        if total > 0:
            at = np.searchsorted(recalled / total, _RECALLS, side="left")
            reached = at < len(best)
            found[row] = best[at[reached]].sum() / len(_RECALLS)
    return found


def _check(predicted: BoxTable, truth: BoxTable, n_studies: int) -> None:
    if len(truth) == 0:
        raise PredictionsError(
            "There is no true box to measure against; give studies with train_bounding_boxes.csv."
        )
    if not np.isfinite(predicted.scores).all() or not np.isfinite(predicted.xyxy).all():
        raise PredictionsError("A predicted box holds NaN or infinity; predict that study again.")
    for table in (predicted, truth):
        if len(table) and not 0 <= table.study.min() <= table.study.max() < n_studies:
            raise PredictionsError(
                f"A box belongs to none of the {n_studies} studies; give every study's slice count."
            )

"""Free-response curves: fractures found against false marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.evaluation.detection.matching import BoxTable, Pairs
from core.types import FloatArray, IntArray

_DRAWS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """A free-response curve (Bunch et al. 1978), one point per distinct score, the highest first.

    Attributes:
        thresholds: float64 (k,), falling; a mark counts from this score on.
        sensitivity: float64 (k,), share of lesions found.
        false_per_study: float64 (k,), false marks per study.
        lesion_scores: float64 (m,), best score that finds each lesion, -inf where none does.
        lesion_study: int64 (m,).
        false_scores: float64 (f,), of the marks that find nothing.
        false_study: int64 (f,).
    """

    thresholds: FloatArray
    sensitivity: FloatArray
    false_per_study: FloatArray
    lesion_scores: FloatArray
    lesion_study: IntArray
    false_scores: FloatArray
    false_study: IntArray

    def sensitivity_at(self, false_per_study: float) -> float:
        """Highest sensitivity with at most this many false marks per study; 0 where none is."""
        allowed = self.false_per_study <= false_per_study
        return float(self.sensitivity[allowed].max(initial=0.0))

    def threshold_at(self, false_per_study: float) -> float:
        """Lowest score with at most this many false marks per study; infinity without one."""
        allowed = self.false_per_study <= false_per_study
        return float(self.thresholds[allowed].min(initial=np.inf))


def froc_curve(
    lesion_scores: FloatArray,
    lesion_study: IntArray,
    false_scores: FloatArray,
    false_study: IntArray,
    n_slices: IntArray,
) -> Froc:
    """Count lesions found and false marks at every distinct score.

    Args:
        lesion_scores: float64 (m,), m >= 1, best score that finds each lesion, -inf for none.
        lesion_study: int64 (m,).
        false_scores: float64 (f,).
        false_study: int64 (f,).
        n_slices: int64 (studies,), slices of each study.
    """
    found = lesion_scores[np.isfinite(lesion_scores)]
    thresholds = np.unique(np.concatenate([found, false_scores]))[::-1]
    hits = _at_least(found, thresholds)
    false = _at_least(false_scores, thresholds)
    return Froc(
        thresholds=thresholds,
        sensitivity=hits / len(lesion_scores),
        false_per_study=false / len(n_slices),
        lesion_scores=lesion_scores,
        lesion_study=lesion_study,
        false_scores=false_scores,
        false_study=false_study,
    )


def froc_boxes(
    predicted: BoxTable, truth: BoxTable, pairs: Pairs, n_slices: NDArray[np.int64]
) -> Froc:
    """FROC over true boxes: one is found by a box on its slice whose centre lies in it.

    Args:
        predicted: All predicted boxes.
        truth: The true boxes.
        pairs: From `pair_boxes`.
        n_slices: int64 (studies,).
    """
    hits = pairs.predicted[pairs.inside], pairs.true[pairs.inside]
    return _froc(predicted.scores, predicted.study, truth.study, hits, n_slices)


def froc_fractures(
    predicted: BoxTable, truth: BoxTable, pairs: Pairs, n_slices: NDArray[np.int64]
) -> Froc:
    """FROC over fractures: a true track is found by a predicted one that hits it on some slice.

    A track counts with the highest score of its boxes.

    Args:
        predicted: All predicted boxes.
        truth: The true boxes.
        pairs: From `pair_boxes`.
        n_slices: int64 (studies,).
    """
    names, first, of_box = np.unique(predicted.track_key, return_index=True, return_inverse=True)
    scores = np.full(len(names), -np.inf)
    np.maximum.at(scores, of_box, predicted.scores)
    _, first_true, of_truth = np.unique(truth.track_key, return_index=True, return_inverse=True)
    hits = of_box[pairs.predicted[pairs.inside]], of_truth[pairs.true[pairs.inside]]
    return _froc(scores, predicted.study[first], truth.study[first_true], hits, n_slices)


def _froc(
    scores: FloatArray,
    study: IntArray,
    lesion_study: IntArray,
    hits: tuple[IntArray, IntArray],
    n_slices: IntArray,
) -> Froc:
    """The curve of marks (n,) and lesions (m,), and which mark hits which lesion, (k,) each."""
    mark, lesion = hits
    found = np.full(len(lesion_study), -np.inf)
    np.maximum.at(found, lesion, scores[mark])
    false = np.ones(len(scores), bool)
    false[mark] = False
    return froc_curve(found, lesion_study, scores[false], study[false], n_slices)


def sensitivity_at_draws(curve: Froc, rate: float, draws: IntArray) -> FloatArray:
    """Sensitivity at a rate of false marks, for resampled patients.

    The threshold is chosen in each replicate, as it would be on those patients.

    Args:
        curve: The curve.
        rate: False marks per study, >= 0.
        draws: int64 (replicates, studies), how often each is drawn.

    Returns:
        float64 (replicates,); NaN where a replicate drew no lesion.
    """
    order = np.argsort(-curve.false_scores, kind="stable")
    scores = curve.false_scores[order]
    study = curve.false_study[order]
    parts = [np.empty(0)]
    for start in range(0, len(draws), _DRAWS_AT_ONCE):
        some = draws[start : start + _DRAWS_AT_ONCE]
        false = np.cumsum(some[:, study], axis=1)
        too_many = false > rate * some.sum(axis=1, keepdims=True)
        # Marks with the score of the first excess one are dropped; the last column stands for none.
        too_many = np.column_stack([too_many, np.ones(len(some), bool)])
        limit = np.append(scores, -np.inf)[too_many.argmax(axis=1)]
        weights = some[:, curve.lesion_study]
        finds = curve.lesion_scores > limit[:, np.newaxis]
        total = weights.sum(axis=1)
        found = np.full(len(some), np.nan)
        np.divide((weights * finds).sum(axis=1), total, out=found, where=total > 0)
        parts.append(found)
    return np.concatenate(parts)


def _at_least(scores: FloatArray, thresholds: FloatArray) -> IntArray:
    """Number of scores at or above each threshold."""
    ordered = np.sort(scores)
    return len(ordered) - np.searchsorted(ordered, thresholds, side="left")

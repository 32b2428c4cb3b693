"""Counts of one model at every position of the sliders, for the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.constants import N_VERTEBRAE, VERTEBRAE
from core.evaluation.curves import SortedScores, ThresholdCounts
from core.types import FloatArray
from dashboard.evaluation.results import ModelAtLevel, curve, vertebra_curves
from dashboard.widgets.threshold_slider.slider import POSITIONS

FALLING: Final[FloatArray] = POSITIONS[::-1]
"""Thresholds that a slider can stand at, falling."""


@dataclass(frozen=True, slots=True, eq=False)
class BoardCounts:
    """What the browser needs to count calls at any position of one or seven sliders.

    Attributes:
        pooled: Counts of all items at `FALLING`; None with seven thresholds.
        each: The same for C1..C7, or none where the level knows no vertebrae. Where `strata`, of
            the patients in whom the vertebra is fractured.
        strata: Whether `each` counts patients.
        scores: float64 (n, 7), scores of the vertebrae of every patient, for seven thresholds at
            patient level; None otherwise.
        fractured: bool (n,), truth of these patients.
    """

    pooled: ThresholdCounts | None
    each: tuple[ThresholdCounts, ...]
    strata: bool = False
    scores: FloatArray | None = None
    fractured: NDArray[np.bool_] | None = None

    def to_bytes(self) -> bytes:
        """Little-endian parts one after the other, as `figures.js` reads them.

        uint32 n, whether `pooled` is there, and the number of `each`; float64 (n, 7) scores; of
        each table, the pooled one first, uint32 positives and negatives, TP (g,) and FP (g,); uint8
        (n,) truth.
        """
        tables = [*([] if self.pooled is None else [self.pooled]), *self.each]
        n = 0 if self.scores is None else len(self.scores)
        head = np.array([n, self.pooled is not None, len(self.each), 0], "<u4")
        parts = [head.tobytes()]
        if self.scores is not None:
            parts.append(np.ascontiguousarray(self.scores, "<f8").tobytes())
        for table in tables:
            counts = (table.true_positives, table.false_positives)
            numbers = [[table.n_positive, table.n_negative], *counts]
            parts.append(np.concatenate(numbers).astype("<u4").tobytes())
        if self.fractured is not None:
            parts.append(self.fractured.astype(np.uint8).tobytes())
        return b"".join(parts)


def pooled_counts(model: ModelAtLevel) -> BoardCounts:
    """Count a model's calls of all items at every position of one slider.

    Raises:
        PredictionsError: The level is not supported.
    """
    return BoardCounts(curve(model).at_each(FALLING), ())


def board_counts(model: ModelAtLevel, n_thresholds: int) -> BoardCounts:
    """Count a model's calls at every position.

    Args:
        model: The model on the studies shown.
        n_thresholds: 1, or 7 for one threshold of each of C1..C7.

    Raises:
        PredictionsError: The level is not supported.
    """
    pooled = pooled_counts(model).pooled if n_thresholds == 1 else None
    patient = model.question.level == "patient"
    if pooled is not None and patient:
        return BoardCounts(pooled, _strata(model), strata=True)
    if not model.question.knows_vertebrae:
        return BoardCounts(pooled, ())
    curves = vertebra_curves(model.of_vertebrae)
    each = tuple(curves[vertebra].scores.at_each(FALLING) for vertebra in VERTEBRAE)
    if pooled is not None or not patient:
        return BoardCounts(pooled, each)
    scores = model.evaluated.data.model(model.name).vertebra_scores
    return BoardCounts(None, each, scores=scores, fractured=model.items().truth)


def _strata(model: ModelAtLevel) -> tuple[ThresholdCounts, ...]:
    """Patients found, by the vertebra that is fractured."""
    scores = model.evaluated.data.model(model.name).patient_scores
    fractured = model.evaluated.data.truth.fractured
    none = np.empty(0)
    return tuple(
        SortedScores(np.sort(scores[fractured[:, j]]), none).at_each(FALLING)
        for j in range(N_VERTEBRAE)
    )

"""One level of an evaluation: metrics, the operating point and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Interval, bootstrap_intervals
from core.evaluation.metrics import BinaryMetrics, binary_metrics
from core.evaluation.thresholds import OperatingPoint, highest_f1

LevelName = Literal["slice", "vertebra", "patient", "presence"]
DEFAULT_THRESHOLD: Final = 0.5
"""Used where truth has one class only, so that no rule can choose."""


@dataclass(frozen=True, slots=True)
class LevelReport:
    """One binary question, measured.

    Attributes:
        metrics: Metrics at the operating point and over all thresholds.
        operating_point: The threshold and the rule that chose it.
        intervals: 95 % patient-bootstrap interval per metric, None where there is none.
    """

    metrics: BinaryMetrics
    operating_point: OperatingPoint
    intervals: Mapping[str, Interval | None]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; intervals are [low, high] or null."""
        counts = self.metrics.counts
        return {
            "n": counts.n,
            "n_positive": counts.n_positive,
            "auc": self.metrics.auc,
            "average_precision": self.metrics.average_precision,
            "accuracy": counts.accuracy,
            "precision": counts.precision,
            "recall": counts.recall,
            "specificity": counts.specificity,
            "f1": counts.f1,
            "balanced_accuracy": counts.balanced_accuracy,
            "confusion": {
                "true_positives": counts.true_positives,
                "false_positives": counts.false_positives,
                "true_negatives": counts.true_negatives,
                "false_negatives": counts.false_negatives,
            },
            "threshold": self.operating_point.threshold,
            "threshold_rule": self.operating_point.rule,
            "undefined": self.metrics.undefined,
            "intervals": {
                name: None if interval is None else [interval.low, interval.high]
                for name, interval in self.intervals.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Measuring:
    """How every level of one evaluation is measured.

    Attributes:
        thresholds: Operating points given from outside.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap; sets of the same patients are resampled alike.
    """

    thresholds: Mapping[LevelName, float]
    replicates: int
    seed: int

    def pooled(
        self,
        name: LevelName,
        scores: NDArray[np.floating[Any]],
        truth: NDArray[np.bool_],
        patients: NDArray[np.intp],
    ) -> LevelReport:
        """Measure scores (n,) against truth (n,); `patients` (n,) says whose each item is."""
        return self.at(self._operating_point(name, scores, truth), scores, truth, patients)

    def at(
        self,
        point: OperatingPoint,
        scores: NDArray[np.floating[Any]],
        truth: NDArray[np.bool_],
        patients: NDArray[np.intp],
    ) -> LevelReport:
        """Measure like `pooled`, at an operating point that is already chosen."""
        return LevelReport(
            metrics=binary_metrics(scores, truth, point.threshold),
            operating_point=point,
            intervals=bootstrap_intervals(
                scores,
                truth,
                patients,
                threshold=point.threshold,
                replicates=self.replicates,
                seed=self.seed,
            ),
        )

    def _operating_point(
        self, name: LevelName, scores: NDArray[np.floating[Any]], truth: NDArray[np.bool_]
    ) -> OperatingPoint:
        if name in self.thresholds:
            return OperatingPoint(float(self.thresholds[name]), "given")
        if truth.all() or not truth.any():
            return OperatingPoint(DEFAULT_THRESHOLD, "default")
        return highest_f1(scores, truth)

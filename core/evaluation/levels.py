"""One level of an evaluation: metrics, the operating point and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from core.evaluation.confusion import ConfusionCounts
from core.evaluation.curves import ThresholdCounts, threshold_counts
from core.evaluation.intervals import Interval, bootstrap_intervals
from core.evaluation.metrics import BinaryMetrics, binary_metrics
from core.evaluation.resampling import THRESHOLD_METRICS
from core.evaluation.tables.evaluation_set import LevelItems
from core.evaluation.thresholds import OperatingPoint, Rule, choose_threshold
from core.types import LevelName

DEFAULT_THRESHOLD: Final = 0.5
"""Used where truth has one class only, so that no rule can choose."""


@dataclass(frozen=True, slots=True)
class LevelReport:
    """Measures of one level.

    Attributes:
        metrics: Metrics at the operating point and over all thresholds.
        operating_point: The threshold and the rule that chose it.
        intervals: 95 % patient-bootstrap interval per metric, None where there is none.
        chosen_on: Counts at the threshold on the set that it was chosen on; None for the same set.
    """

    metrics: BinaryMetrics
    operating_point: OperatingPoint
    intervals: Mapping[str, Interval | None]
    chosen_on: ConfusionCounts | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; intervals are [low, high] or null."""
        return {
            "n": self.metrics.counts.n,
            "n_positive": self.metrics.counts.n_positive,
            "auc": self.metrics.auc,
            "average_precision": self.metrics.average_precision,
            **_counts_to_json(self.metrics.counts),
            "brier": self.metrics.brier,
            "expected_calibration_error": self.metrics.expected_calibration_error,
            "threshold": self.operating_point.threshold,
            "threshold_rule": self.operating_point.rule,
            "threshold_asked": self.operating_point.asked,
            "threshold_shortfall": self.operating_point.shortfall or None,
            "chosen_on": None if self.chosen_on is None else _counts_to_json(self.chosen_on),
            "undefined": self.metrics.undefined,
            "intervals": {
                name: None if interval is None else [interval.low, interval.high]
                for name, interval in self.intervals.items()
            },
        }


def _counts_to_json(counts: ConfusionCounts) -> dict[str, Any]:
    """Every ratio at the threshold, and the four counts."""
    ratios = {name: getattr(counts, name) for name in THRESHOLD_METRICS}
    return ratios | {"confusion": asdict(counts)}


@dataclass(frozen=True, slots=True)
class Measuring:
    """How every level of one evaluation is measured.

    Attributes:
        thresholds: Given thresholds by level.
        replicates: Bootstrap replicates over patients.
        seed: Seed of the bootstrap; sets of the same patients are resampled alike.
        rule: Threshold rule of levels without a given threshold.
        chosen_on: Curves of another set, by level, on which the rule chooses.
    """

    thresholds: Mapping[LevelName, float]
    replicates: int
    seed: int
    rule: Rule = field(default_factory=Rule)
    chosen_on: Mapping[LevelName, ThresholdCounts] = field(
        default_factory=dict[LevelName, ThresholdCounts]
    )

    def pooled(self, name: LevelName, items: LevelItems) -> LevelReport:
        """Measure the scores of a level against its truth, at the threshold that `rule` chooses."""
        other = self.chosen_on.get(name)
        curve = threshold_counts(items.scores, items.truth) if other is None else other
        point = self._operating_point(name, curve)
        level = self.at(point, items)
        if other is None or point.rule in ("given", "default"):
            return level
        return replace(level, chosen_on=other.at(point.threshold))

    def at(self, point: OperatingPoint, items: LevelItems) -> LevelReport:
        """Measure like `pooled`, at an operating point that is already chosen."""
        return LevelReport(
            metrics=binary_metrics(items.scores, items.truth, point.threshold),
            operating_point=point,
            intervals=bootstrap_intervals(
                items.scores,
                items.truth,
                items.patients,
                threshold=point.threshold,
                replicates=self.replicates,
                seed=self.seed,
            ),
        )

    def _operating_point(self, name: LevelName, curve: ThresholdCounts) -> OperatingPoint:
        if name in self.thresholds:
            return OperatingPoint(float(self.thresholds[name]), "given")
        if curve.one_class:
            return OperatingPoint(DEFAULT_THRESHOLD, "default")
        return choose_threshold(curve, self.rule)

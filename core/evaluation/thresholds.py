"""Operating points: a threshold together with the rule that chose it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from core.errors import PredictionsError
from core.evaluation.curves import ThresholdCounts

ThresholdRule = Literal[
    "highest F1",
    "highest Youden index",
    "target sensitivity",
    "target specificity",
    "lowest cost",
    "within limits",
    "given",
    "default",
]
RULE_MEANINGS: Final[dict[ThresholdRule, str]] = {
    "highest F1": "the best balance of precision and recall (the project's rule)",
    "highest Youden index": "the highest sensitivity + specificity",
    "target sensitivity": "the fewest false alarms at this sensitivity or more",
    "target specificity": "the most fractures found at this specificity or more",
    "lowest cost": "the lowest total cost of missed fractures and false alarms",
    "within limits": "the highest F1 within limits on sensitivity, precision and false alarms",
}

_ROUNDING: Final = 1e-9
"""A share that misses its limit by less reaches it."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and the rule that chose it; a score >= threshold is a call.

    Attributes:
        threshold: One of the scores, or the value given; above the highest score where the
            rule makes no call at all.
        rule: Threshold rule.
        asked: Target or, for "lowest cost", the cost of a miss over that of a false alarm.
        shortfall: For "within limits", why no threshold is: what the nearest one reaches; ""
            where all limits hold.
    """

    threshold: float
    rule: ThresholdRule
    asked: float | None = None
    shortfall: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that a threshold keeps at once.

    Attributes:
        sensitivity: Least sensitivity, in [0, 1].
        precision: Least precision, in [0, 1].
        alarms: Most false alarms per 100 studies; None for no limit.
    """

    sensitivity: float = 0.0
    precision: float = 0.0
    alarms: float | None = None

    def __post_init__(self) -> None:
        shares = (self.sensitivity, self.precision)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise PredictionsError(
                "Limits on sensitivity and precision are shares from 0 to 1; give such shares."
            )
        if self.alarms is not None and not self.alarms >= 0.0:
            raise PredictionsError(
                "A limit on false alarms per 100 studies is a number from 0 on; give one."
            )


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold rule with its parameter.

    Attributes:
        name: One of `RULE_MEANINGS`.
        asked: A share in [0, 1] for the two targets; FN cost / FP cost > 0 for "lowest cost".
        prevalence: For "lowest cost", the share of positives where the threshold will be used,
            in (0, 1); None for that of the data.
        limits: For "within limits".
        studies: Number of studies of the curve, for a limit on false alarms per 100 studies;
            None where every item is a study.
    """

    name: ThresholdRule = "highest F1"
    asked: float | None = None
    prevalence: float | None = None
    limits: Limits = field(default_factory=Limits)
    studies: int | None = None


def choose_threshold(counts: ThresholdCounts, rule: Rule) -> OperatingPoint:
    """Apply a rule to a curve; among equals the highest threshold, so the fewest calls.

    Raises:
        PredictionsError: A class that the rule needs is missing, or its parameter is missing or
            out of range.
    """
    if rule.name == "highest F1":
        return OperatingPoint(_highest_f1(counts), rule.name)
    if rule.name == "within limits":
        return _within_limits(counts, rule)
    if rule.name == "highest Youden index":
        return OperatingPoint(_highest_youden(counts), rule.name)
    choose = {
        "target sensitivity": _target_sensitivity,
        "target specificity": _target_specificity,
        "lowest cost": _lowest_cost,
    }.get(rule.name)
    if choose is None:
        raise PredictionsError(
            f"{rule.name!r} is not a rule; choose one of {', '.join(RULE_MEANINGS)}."
        )
    return OperatingPoint(choose(counts, rule), rule.name, rule.asked)


def no_call(counts: ThresholdCounts) -> float:
    """The smallest threshold above every score."""
    return float(np.nextafter(counts.thresholds[0], np.inf))


def _highest_f1(counts: ThresholdCounts) -> float:
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive, so F1 has no maximum; give a threshold.")
    return float(counts.thresholds[np.argmax(counts.f1())])


def _highest_youden(counts: ThresholdCounts) -> float:
    # Sensitivity + specificity - 1 (Youden, 1950).
    if counts.one_class:
        raise PredictionsError("Youden's index needs both classes; give a threshold.")
    # Integer arithmetic keeps ties exact.
    gained = counts.true_positives * counts.n_negative - counts.false_positives * counts.n_positive
    return float(counts.thresholds[np.argmax(gained)])


def _target_sensitivity(counts: ThresholdCounts, rule: Rule) -> float:
    share = _share(rule)
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive to find; give a threshold.")
    enough = counts.true_positives >= _items(share, counts.n_positive)
    return float(counts.thresholds[np.argmax(enough)])


def _target_specificity(counts: ThresholdCounts, rule: Rule) -> float:
    share = _share(rule)
    if counts.n_negative == 0:
        raise PredictionsError("No item is negative to leave uncalled; give a threshold.")
    allowed = counts.n_negative - _items(share, counts.n_negative)
    k = int(np.searchsorted(counts.false_positives, allowed, side="right"))
    if k == 0 or counts.true_positives[k - 1] == 0:
        return no_call(counts)
    # Of the thresholds that find equally many, the highest has the fewest false alarms.
    place = np.searchsorted(counts.true_positives, counts.true_positives[k - 1])
    return float(counts.thresholds[place])


def _lowest_cost(counts: ThresholdCounts, rule: Rule) -> float:
    asked = rule.asked
    if asked is None or not (np.isfinite(asked) and asked > 0):
        raise PredictionsError(
            "The cost of a missed fracture over that of a false alarm must be a number above 0."
        )
    weight = asked * _odds_of_use(counts, rule.prevalence)
    missed = counts.n_positive - counts.true_positives
    costs = weight * missed + counts.false_positives
    place = int(np.argmin(costs))
    if weight * counts.n_positive <= costs[place]:
        return no_call(counts)
    return float(counts.thresholds[place])


def _odds_of_use(counts: ThresholdCounts, prevalence: float | None) -> float:
    """How much more often a positive comes, over a negative, than in the data."""
    if prevalence is None or counts.one_class:
        return 1.0
    if not 0.0 < prevalence < 1.0:
        raise PredictionsError("A prevalence is a share above 0 and below 1.")
    return prevalence / (1.0 - prevalence) * counts.n_negative / counts.n_positive


def _within_limits(counts: ThresholdCounts, rule: Rule) -> OperatingPoint:
    """The highest F1 where all limits hold, else the threshold that is nearest.

    The nearest has the smallest largest shortfall and, among equals, the smallest sum. Shortfalls
    are differences of shares; false alarms per 100 studies count as percentage points.
    """
    limits = rule.limits
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive, so nothing is found; give a threshold.")
    alarms = counts.false_positives / max(rule.studies or counts.n, 1)
    most = np.inf if limits.alarms is None else limits.alarms / 100
    short = np.maximum(
        [
            limits.sensitivity - counts.recall(),
            limits.precision - counts.precision(),
            alarms - most,
        ],
        0.0,
    )
    worst = short.max(axis=0)
    within = worst <= _ROUNDING
    if within.any():
        place = int(np.argmax(np.where(within, counts.f1(), -1.0)))
        return OperatingPoint(float(counts.thresholds[place]), rule.name)
    place = int(np.lexsort((short.sum(axis=0), worst))[0])
    reached = [
        f"sensitivity {counts.recall()[place]:.3f}", f"precision {counts.precision()[place]:.3f}"
    ]  # fmt: skip
    if limits.alarms is not None:
        reached.append(f"{100 * alarms[place]:.1f} false alarms per 100 studies")
    return OperatingPoint(float(counts.thresholds[place]), rule.name, shortfall=", ".join(reached))


def _items(share: float, n: int) -> int:
    """The fewest of n items that are at least `share` of them, within rounding error."""
    return int(np.ceil(share * n - 1e-9 * n))


def _share(rule: Rule) -> float:
    if rule.asked is None or not 0.0 <= rule.asked <= 1.0:
        raise PredictionsError(f"{rule.name} needs a share between 0 and 1; give one such as 0.95.")
    return rule.asked

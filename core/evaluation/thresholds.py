"""Operating points: a threshold together with the rule that chose it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import PredictionsError
from core.evaluation.curves import ThresholdCounts

ThresholdRule = Literal[
    "highest F1",
    "highest Youden index",
    "target sensitivity",
    "target specificity",
    "lowest cost",
    "given",
    "default",
]
RULE_MEANINGS: Final[dict[ThresholdRule, str]] = {
    "highest F1": "the best balance of precision and recall (the project's rule)",
    "highest Youden index": "the highest sensitivity + specificity",
    "target sensitivity": "the fewest false alarms at this sensitivity or more",
    "target specificity": "the most fractures found at this specificity or more",
    "lowest cost": "the lowest total cost of missed fractures and false alarms",
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and the rule that chose it; a score >= threshold is a call.

    Attributes:
        threshold: One of the scores, or the value given; above the highest score where the
            rule makes no call at all.
        rule: Threshold rule.
        value: Value of the rule's criterion there; None where the threshold was given.
        asked: Target or, for "lowest cost", the cost of a miss over that of a false alarm.
    """

    threshold: float
    rule: ThresholdRule
    value: float | None = None
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold rule with its parameter.

    Attributes:
        name: One of `RULE_MEANINGS`.
        asked: A share in [0, 1] for the two targets; FN cost / FP cost > 0 for "lowest cost".
    """

    name: ThresholdRule = "highest F1"
    asked: float | None = None


def choose_threshold(counts: ThresholdCounts, rule: Rule) -> OperatingPoint:
    """Apply a rule to a curve; among equals the highest threshold, so the fewest calls.

    Raises:
        PredictionsError: A class that the rule needs is missing, or its parameter is missing or
            out of range.
    """
    if rule.name == "highest F1":
        return _highest_f1(counts)
    if rule.name == "highest Youden index":
        return _highest_youden(counts)
    if rule.name == "target sensitivity":
        return _target_sensitivity(counts, _share(rule))
    if rule.name == "target specificity":
        return _target_specificity(counts, _share(rule))
    if rule.name == "lowest cost":
        return _lowest_cost(counts, rule.asked)
    raise PredictionsError(
        f"{rule.name!r} is not a rule; choose one of {', '.join(RULE_MEANINGS)}."
    )


def no_call(counts: ThresholdCounts) -> float:
    """The smallest threshold above every score."""
    return float(np.nextafter(counts.thresholds[0], np.inf))


def _highest_f1(counts: ThresholdCounts) -> OperatingPoint:
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive, so F1 has no maximum; give a threshold.")
    return _best(counts, counts.f1(), "highest F1")


def _highest_youden(counts: ThresholdCounts) -> OperatingPoint:
    # Sensitivity + specificity - 1 (Youden, 1950).
    if counts.one_class:
        raise PredictionsError("Youden's index needs both classes; give a threshold.")
    # Integer arithmetic until the last division keeps ties exact.
    gained = counts.true_positives * counts.n_negative - counts.false_positives * counts.n_positive
    return _best(counts, gained / (counts.n_positive * counts.n_negative), "highest Youden index")


def _target_sensitivity(counts: ThresholdCounts, share: float) -> OperatingPoint:
    if counts.n_positive == 0:
        raise PredictionsError("No item is positive to find; give a threshold.")
    enough = counts.true_positives >= _items(share, counts.n_positive)
    place = int(np.argmax(enough))
    return _point(counts, counts.thresholds[place], "target sensitivity", share)


def _target_specificity(counts: ThresholdCounts, share: float) -> OperatingPoint:
    if counts.n_negative == 0:
        raise PredictionsError("No item is negative to leave uncalled; give a threshold.")
    allowed = counts.n_negative - _items(share, counts.n_negative)
    k = int(np.searchsorted(counts.false_positives, allowed, side="right"))
    if k == 0 or counts.true_positives[k - 1] == 0:
        return _point(counts, no_call(counts), "target specificity", share)
    # Of the thresholds that find equally many, the highest has the fewest false alarms.
    place = int(np.searchsorted(counts.true_positives, counts.true_positives[k - 1]))
    return _point(counts, counts.thresholds[place], "target specificity", share)


def _lowest_cost(counts: ThresholdCounts, asked: float | None) -> OperatingPoint:
    if asked is None or not (np.isfinite(asked) and asked > 0):
        raise PredictionsError(
            "The cost of a missed fracture over that of a false alarm must be a number above 0."
        )
    missed = counts.n_positive - counts.true_positives
    costs = asked * missed + counts.false_positives
    place = int(np.argmin(costs))
    threshold = counts.thresholds[place]
    if asked * counts.n_positive <= costs[place]:
        threshold = no_call(counts)
    cost = counts.at(float(threshold)).cost(asked)
    return OperatingPoint(float(threshold), "lowest cost", float(cost), asked)


def _point(
    counts: ThresholdCounts, threshold: float, rule: ThresholdRule, asked: float
) -> OperatingPoint:
    reached = counts.at(float(threshold))
    value = reached.recall if rule == "target sensitivity" else reached.specificity
    return OperatingPoint(float(threshold), rule, value, asked)


def _items(share: float, n: int) -> int:
    """The fewest of n items that are at least `share` of them, within rounding error."""
    return int(np.ceil(share * n - 1e-9 * n))


def _share(rule: Rule) -> float:
    if rule.asked is None or not 0.0 <= rule.asked <= 1.0:
        raise PredictionsError(f"{rule.name} needs a share between 0 and 1; give one such as 0.95.")
    return rule.asked


def _best(
    counts: ThresholdCounts, values: NDArray[np.float64], rule: ThresholdRule
) -> OperatingPoint:
    best = int(np.argmax(values))
    return OperatingPoint(float(counts.thresholds[best]), rule, float(values[best]))

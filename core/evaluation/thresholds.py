"""Operating points: a threshold together with the rule that chose it."""

from __future__ import annotations

from dataclasses import dataclass
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
        asked: Target or, for "lowest cost", the cost of a miss over that of a false alarm.
    """

    threshold: float
    rule: ThresholdRule
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
        return OperatingPoint(_highest_f1(counts), rule.name)
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
    missed = counts.n_positive - counts.true_positives
    costs = asked * missed + counts.false_positives
    place = int(np.argmin(costs))
    if asked * counts.n_positive <= costs[place]:
        return no_call(counts)
    return float(counts.thresholds[place])


def _items(share: float, n: int) -> int:
    """The fewest of n items that are at least `share` of them, within rounding error."""
    return int(np.ceil(share * n - 1e-9 * n))


def _share(rule: Rule) -> float:
    if rule.asked is None or not 0.0 <= rule.asked <= 1.0:
        raise PredictionsError(f"{rule.name} needs a share between 0 and 1; give one such as 0.95.")
    return rule.asked

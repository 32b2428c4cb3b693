"""Thresholds of one model: shared by all vertebrae or one each, chosen here and applied there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.constants import VERTEBRAE
from core.errors import PredictionsError
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.curves import ThresholdCounts, threshold_counts
from core.evaluation.evaluation_set import EvaluationSet
from core.evaluation.levels import LevelName
from core.evaluation.thresholds import Rule, Transfer, transfer_threshold


@dataclass(frozen=True, slots=True)
class VertebraTransfers:
    """Operating points of the vertebrae.

    Attributes:
        shared: One threshold for C1..C7, chosen and applied on all of them together.
        per_vertebra: By name, one threshold each; a vertebra whose own curve cannot choose (no
            fracture on the choosing set) takes the shared threshold.
        fallbacks: Names of those vertebrae.
        together_chosen_on: Counts of all vertebrae, each at its own threshold, where chosen.
        together_applied_to: The same where applied.
    """

    shared: Transfer
    per_vertebra: Mapping[str, Transfer]
    fallbacks: tuple[str, ...]
    together_chosen_on: ConfusionCounts
    together_applied_to: ConfusionCounts


@dataclass(frozen=True, slots=True, eq=False)
class VertebraCurves:
    """Curves of one model and level.

    Attributes:
        pooled: C1..C7 together.
        per_vertebra: By name.
    """

    pooled: ThresholdCounts
    per_vertebra: Mapping[str, ThresholdCounts]


def transfer_vertebra_thresholds(
    chosen_on: VertebraCurves, applied_to: VertebraCurves, rule: Rule
) -> VertebraTransfers:
    """Choose on one set (out-of-fold), apply to another (held-out), and show both.

    Raises:
        PredictionsError: The pooled curve cannot choose, as `choose_threshold` describes.
    """
    shared = transfer_threshold(chosen_on.pooled, applied_to.pooled, rule)
    points: dict[str, Transfer] = {}
    fallbacks: list[str] = []
    for name, counts in applied_to.per_vertebra.items():
        own = chosen_on.per_vertebra[name]
        try:
            points[name] = transfer_threshold(own, counts, rule)
        except PredictionsError:
            fallbacks.append(name)
            threshold = shared.point.threshold
            points[name] = Transfer(shared.point, own.at(threshold), counts.at(threshold))
    return VertebraTransfers(
        shared=shared,
        per_vertebra=points,
        fallbacks=tuple(fallbacks),
        together_chosen_on=add_counts(point.chosen_on for point in points.values()),
        together_applied_to=add_counts(point.applied_to for point in points.values()),
    )


def vertebra_curves(
    evaluated: EvaluationSet, name: str, level: LevelName = "vertebra"
) -> VertebraCurves:
    """Sort a model's scores of a level, all together and vertebra by vertebra.

    Args:
        evaluated: Holds the model.
        name: Of the model.
        level: "vertebra" or "presence"; at "slice" the pooled scores are p_i.

    Raises:
        PredictionsError: As `EvaluationSet.items` describes.
    """
    pooled = evaluated.items(name, level)
    columns = {vertebra: evaluated.items(name, level, j) for j, vertebra in enumerate(VERTEBRAE)}
    return VertebraCurves(
        threshold_counts(pooled.scores, pooled.truth),
        {key: threshold_counts(items.scores, items.truth) for key, items in columns.items()},
    )


def add_counts(counts: Iterable[ConfusionCounts]) -> ConfusionCounts:
    """Counts of disjoint items together; all 0 of none."""
    found = list(counts)
    return ConfusionCounts(
        true_positives=sum(each.true_positives for each in found),
        false_positives=sum(each.false_positives for each in found),
        true_negatives=sum(each.true_negatives for each in found),
        false_negatives=sum(each.false_negatives for each in found),
    )

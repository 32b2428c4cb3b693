"""Thresholds of one model: shared by all vertebrae or one each, chosen here and applied there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.evaluation.confusion import ConfusionCounts
from core.evaluation.curves import ThresholdCounts
from core.evaluation.thresholds import Rule, Transfer


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
    raise NotImplementedError


def add_counts(counts: Mapping[str, ConfusionCounts]) -> ConfusionCounts:
    """Counts of disjoint items together."""
    raise NotImplementedError

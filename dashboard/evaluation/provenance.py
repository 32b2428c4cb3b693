"""Where the thresholds of a view come from, and what that means for its figures."""

from __future__ import annotations

from core.constants import VERTEBRAE
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.operating_points import BY_HAND
from dashboard.evaluation.state import evaluation_view
from dashboard.evaluation.threshold_counts import ChosenThresholds
from dashboard.evaluation.view import Thresholds


def applied_rule(thresholds: Thresholds, chosen: ChosenThresholds | None) -> str:
    """What set these thresholds: the rule, the operating point, or the hand.

    Args:
        thresholds: Thresholds applied.
        chosen: Those of the rule; None where it could not choose any.
    """
    if chosen is None or chosen.values != thresholds:
        return BY_HAND
    return f"operating point, {chosen.origin}" if chosen.origin else chosen.points[0].rule


def provenance(comparison: ComparisonTable) -> str:
    """Where the thresholds were chosen, and what that means for the figures."""
    chosen = comparison.chosen.values()
    parts: list[str] = []
    if set_before := [
        f"{name}: {own.origin}" for name, own in comparison.chosen.items() if own.origin
    ]:
        parts.append(
            "Operating points as they are used, none chosen on the studies shown "
            f"({'; '.join(set_before)})."
        )
    others = sorted({own.on for own in chosen if not own.same_data and not own.origin})
    if others:
        parts.append(f"Chosen on {', '.join(others)} and applied to the studies shown.")
    if any(own.same_data for own in chosen):
        parts.append("Chosen on the studies shown, so figures at the threshold are too optimistic.")
    if "lowest cost" in {own.points[0].rule for own in chosen}:
        share = evaluation_view().prevalence
        where = "in the data" if share is None else f"given below, {share:.2%}"
        parts.append(f"The cost counts fractures as often as {where}.")
    parts += [
        f"{name}: no threshold keeps all limits; the nearest reaches {own.points[0].shortfall}."
        for name, own in comparison.chosen.items()
        if len(own.points) == 1 and own.points[0].shortfall
    ]
    if short := sorted(_out_of_limits(comparison)):
        parts.append(f"No threshold keeps all limits for {', '.join(short)}: the nearest is used.")
    fallbacks = sorted({vertebra for own in chosen for vertebra in own.fallbacks})
    if fallbacks:
        parts.append(f"Too few fractures for {', '.join(fallbacks)}: the shared threshold is used.")
    return " ".join(parts)


def _out_of_limits(comparison: ComparisonTable) -> set[str]:
    """Vertebrae, with their model, whose own threshold cannot keep the limits."""
    return {
        f"{vertebra} of {name}"
        for name, own in comparison.chosen.items()
        if len(own.points) == len(VERTEBRAE)
        for vertebra, point in zip(VERTEBRAE, own.points, strict=True)
        if point.shortfall
    }

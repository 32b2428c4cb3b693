"""Subgroups and worst parts of one model at one level, as JSON, rows and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.evaluation.estimates import Estimate
from core.evaluation.subgroups import (
    ALPHA,
    FEWEST_STUDIES,
    MEASURES,
    Calls,
    Measure,
    Subgroup,
    SubgroupReport,
    measure_subgroups,
)
from core.evaluation.tables.attributes import HOLDS, Attribute, Condition
from core.evaluation.worst_parts import WorstPart, worst_parts
from core.types import LevelName

MEASURE_NAMES: Final[dict[Measure, str]] = {
    "error": "Error rate",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "auc": "ROC AUC",
}
METHOD: Final = (
    "Error rates are compared with those of the other studies at the same mix of fractured and "
    "intact, by permutation; p-values are corrected by Holm over all groups."
)
HEADING: Final = (
    "attribute", "group", "source", "studies", "items", "positives", "error_rate", "error_low",
    "error_high", "sensitivity", "sensitivity_low", "sensitivity_high", "specificity",
    "specificity_low", "specificity_high", "auc", "auc_low", "auc_high", "expected_error_rate",
    "difference", "p_value", "holm_p_value",
)  # fmt: skip
"""Columns of `csv_rows`."""
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Findings:
    """Subgroups of one model.

    Attributes:
        level: Level of the items.
        report: Every group.
        worst: The parts that the search found, the worst first.
        notes: Sentences on attributes.
    """

    level: LevelName
    report: SubgroupReport
    worst: tuple[WorstPart, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "level": self.level,
            "method": METHOD,
            "alpha": ALPHA,
            "tested": self.report.tested,
            "fewest_studies": FEWEST_STUDIES,
            "overall": _to_json(self.report.overall),
            "groups": [_to_json(group) for group in self.report.groups],
            "worst_parts": [
                {
                    "conditions": {
                        title: condition.group
                        for title, condition in zip(one.titles, one.conditions, strict=True)
                    },
                    "units": one.units,
                    "error_rate": one.error_rate,
                    "score": one.score,
                    "adjusted_p": one.adjusted_p,
                }
                for one in self.worst
            ],
            "notes": list(self.notes),
        }


def find_subgroups(
    calls: Calls, attributes: Sequence[Attribute], level: LevelName, notes: Sequence[str] = ()
) -> Findings:
    """Measure every group and search for the worst parts.

    Raises:
        PredictionsError: There is no item.
    """
    report = measure_subgroups(calls, attributes)
    return Findings(level, report, worst_parts(calls, attributes), tuple(notes))


def csv_rows(report: SubgroupReport) -> list[list[object]]:
    """One row per group with the columns of `HEADING`; "" where a figure is not defined."""
    return [_csv_row(group) for group in (report.overall, *report.groups)]


def condition_name(title: str, condition: Condition) -> str:
    """A condition with the title of its attribute."""
    return title if condition.group in ("", HOLDS) else f"{title}: {condition.group}"


def group_name(group: Subgroup) -> str:
    """Attribute and group; the attribute alone where it either holds or not."""
    return condition_name(group.title, group.condition)


def sentence(group: Subgroup) -> str:
    """What a group shows, in words."""
    if not group.enough:
        return (
            f"{group_name(group)}: {group.studies:,} studies here or among the others, too few "
            f"for figures (at least {FEWEST_STUDIES})."
        )
    wrong = group.counts.false_positives + group.counts.false_negatives
    lead = (
        f"{group_name(group)}: {wrong:,} of {group.counts.n:,} wrong "
        f"({group.error_rate:.1%}) in {group.studies:,} studies"
    )
    if group.difference is None or group.adjusted_p is None or group.expected_error is None:
        return f"{lead}."
    than = "More" if group.difference > 0 else "Fewer"
    judged = "by more than chance" if group.weakness or group.strength else "within chance"
    return (
        f"{lead}; by the rates of the others it would be {group.expected_error:.1%}. "
        f"{than} errors, {judged} (Holm-adjusted p {p_text(group.adjusted_p)})."
    )


def part_name(part: WorstPart) -> str:
    """Conditions of a part."""
    return " and ".join(map(condition_name, part.titles, part.conditions))


def part_sentence(part: WorstPart) -> str:
    """What a part shows, in words."""
    judged = "more than chance" if part.weakness else "within chance"
    return (
        f"{part_name(part)}: {part.error_rate:.1%} wrong of {part.units:,}, {judged} "
        f"(p {p_text(part.adjusted_p)})."
    )


def p_text(value: float) -> str:
    """A p-value for readers."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def render_findings(findings: Findings) -> str:
    """Subgroups as lines of text for a terminal."""
    report = findings.report
    lines = [
        f"subgroups at the {findings.level} level, {report.tested} tested; {METHOD}",
        *(sentence(group) for group in (report.overall, *report.groups[:_SHOWN])),
    ]
    if len(report.groups) > _SHOWN:
        lines.append(f"… and {len(report.groups) - _SHOWN} more; --json has all of them")
    lines += ["", "worst parts (SliceLine, p-values corrected over all that were searched):"]
    lines += [part_sentence(one) for one in findings.worst] or ["none"]
    return "\n".join([*lines, *(f"note: {note}" for note in findings.notes)])


def _to_json(group: Subgroup) -> dict[str, Any]:
    return {
        "attribute": group.title,
        "group": group.condition.group,
        "source": group.source,
        "studies": group.studies,
        "items": group.counts.n,
        "positives": group.counts.n_positive,
        "enough": group.enough,
        **{measure: _ends(group.estimates[measure]) for measure in MEASURES},
        "expected_error": group.expected_error,
        "difference": group.difference,
        "p_value": group.p_value,
        "adjusted_p": group.adjusted_p,
        "weakness": group.weakness,
    }


def _ends(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _csv_row(group: Subgroup) -> list[object]:
    row: list[object] = [
        group.title, group.condition.group, group.source, group.studies, group.counts.n,
        group.counts.n_positive,
    ]  # fmt: skip
    for measure in MEASURES:
        estimate = group.estimates[measure]
        row += [None] * 3 if estimate is None else [estimate.value, estimate.low, estimate.high]
    row += [group.expected_error, group.difference, group.p_value, group.adjusted_p]
    return ["" if value is None else value for value in row]

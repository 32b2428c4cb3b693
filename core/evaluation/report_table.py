"""An evaluation report as text for a terminal."""

from __future__ import annotations

from typing import Final

from core.evaluation.intervals import Interval
from core.evaluation.levels import LevelReport
from core.evaluation.report import EvaluationReport

_FIRST: Final = 10
_WIDE: Final = 20
_NARROW: Final = (6, 13, 10)
"""Widths of precision, positives and threshold; a line stays below 100 characters."""


def render_report(report: EvaluationReport) -> str:
    """Return the report as lines of text; only notes may be wider than 100 characters."""
    levels = {"slice": report.slice, "vertebra": report.vertebra, "patient": report.patient}
    lines = [
        f"{report.n_patients} patients, {report.n_slices} slices with mask truth; "
        "95 % intervals by patient bootstrap",
        f"thresholds: {report.thresholds_from}",
        "",
        _heading("level"),
    ]
    lines += [_row(name, level) for name, level in levels.items()]
    lines.append(_row("presence", report.presence))
    lines += ["", _heading("fracture")]
    lines += [_row(name, level) for name, level in report.per_vertebra.items()]
    if report.presence_per_vertebra:
        lines += ["", _heading("presence")]
        lines += [_row(name, level) for name, level in report.presence_per_vertebra.items()]
    lines += [
        "",
        f"competition: weighted log loss {report.competition.per_study_mean:.4f}, "
        f"normalised over all studies {report.competition.global_mean:.4f}",
    ]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def _heading(first: str) -> str:
    wide = "".join(name.ljust(_WIDE) for name in ("AUC", "F1", "recall"))
    narrow = _narrow(("prec.", "positive", "threshold"))
    return f"{first.ljust(_FIRST)}{wide}{narrow}"


def _row(name: str, level: LevelReport | None) -> str:
    if level is None:
        return f"{name.ljust(_FIRST)}no truth"
    counts = level.metrics.counts
    wide = (
        _with_interval(level.metrics.auc, level.intervals["auc"]),
        _with_interval(counts.f1, level.intervals["f1"]),
        _with_interval(counts.recall, level.intervals["recall"]),
    )
    narrow = (
        f"{counts.precision:.3f}",
        f"{counts.n_positive}/{counts.n}",
        f"{level.operating_point.threshold:.3f}",
    )
    return name.ljust(_FIRST) + "".join(cell.ljust(_WIDE) for cell in wide) + _narrow(narrow)


def _narrow(cells: tuple[str, str, str]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, _NARROW, strict=True))


def _with_interval(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "undefined"
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval.low:.3f}-{interval.high:.3f})"

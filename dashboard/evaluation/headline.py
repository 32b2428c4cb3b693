"""Table of models: metrics with intervals; a model is marked only if significantly best."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import streamlit as st

from core.evaluation.comparison import ModelComparison, PairComparison
from core.evaluation.intervals import Interval
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, computing
from dashboard.evaluation.headline_rows import (
    PROJECT_FIGURES,
    REPLICATES,
    HeadlineRow,
    headline_rows,
    pair_tests,
)
from dashboard.evaluation.tables import difference_text, model_tag
from dashboard.widgets.frame import draw
from dashboard.widgets.html_table import html_table
from dashboard.widgets.job_status import poll

COLUMNS: Final = (
    ("auc", "ROC AUC", "Probability that a positive scores above a negative; 0.5 is chance."),
    (
        "average_precision",
        "Average precision",
        "Mean precision over recall; chance level is the prevalence.",
    ),
    ("f1", "F1", "At the rule's threshold."),
    ("recall", "Recall", "At the rule's threshold: share of positives found."),
    ("precision", "Precision", "At the rule's threshold: share of calls that are right."),
    (
        "specificity",
        "Specificity",
        "At the rule's threshold: share of negatives not called.",
    ),
    ("accuracy", "Accuracy", "At the rule's threshold."),
    ("brier", "Brier ↓", "Mean squared error of the score; lower is better."),
    (
        "expected_calibration_error",
        "ECE ↓",
        "Expected calibration error: scores against observed frequencies; lower is better.",
    ),
)
LOSS_COLUMN: Final = (
    "Log loss ↓",
    "Metric of the RSNA 2022 competition: mean over studies, in brackets normalised by the sum of "
    "all weights; lower is better.",
)
TABLE_AID: Final = (
    "Each cell: the value and its 95 % interval (patients resampled 1,000 times). ★ marks a model "
    "only where it is better than every other by more than chance (Holm-adjusted p < 0.05)."
)
LOSS_AID: Final = (
    "The log loss rates the patient and all seven vertebrae of a study together, so it is the same "
    "at the patient and the vertebra level."
)


def headline(comparison: ComparisonTable) -> None:
    """Draw the table; it refreshes while intervals are being computed."""
    rows = headline_rows(comparison)
    tests = pair_tests(comparison)
    waiting = any(row.pending for row in rows) or isinstance(tests, Pending)
    draw(table_html(comparison, rows, tests))
    losses = any(row.loss is not None for row in rows)
    st.caption(f"{TABLE_AID} {LOSS_AID}" if losses else TABLE_AID)
    if isinstance(tests, ModelComparison) and tests.pairs:
        with st.expander("Pairwise tests: DeLong, McNemar, bootstrap difference"):
            draw(pairs_html(tests))
    if waiting:
        poll(_computing, every=1.0)


def _computing() -> bool:
    st.caption(f":material/hourglass_top: {REPLICATES:,} resamples are being drawn …")
    return computing()


def table_html(
    comparison: ComparisonTable,
    rows: Sequence[HeadlineRow],
    tests: ModelComparison | Pending | None,
) -> str:
    """The headline table."""
    columns = [(label, meaning) for _, label, meaning in COLUMNS]
    if any(row.loss is not None for row in rows):
        columns.append(LOSS_COLUMN)
    cells = (_row(comparison, row, tests)[: len(columns) + 1] for row in rows)
    project = _project_row(comparison, len(columns))
    return html_table(
        ["Model", *columns], cells, looks="lab-numbers lab-headline", last_row=project
    )


def pairs_html(tests: ModelComparison) -> str:
    """Tests of the difference of every pair of models."""
    headings = (
        "Pair", "AUC difference (DeLong)", "adjusted p", "F1 difference (bootstrap)", "adjusted p",
        "only one right (McNemar)", "adjusted p",
    )  # fmt: skip
    return html_table(headings, map(_pair, tests.pairs))


def _pair(pair: PairComparison) -> list[str]:
    auc, f1 = pair.delong, pair.differences["f1"]
    return [
        f"{escape(pair.first)} − {escape(pair.second)}",
        "–" if auc is None else difference_text(auc.difference, auc.low, auc.high),
        p_text(pair.delong_adjusted_p),
        difference_text(f1.value, f1.low, f1.high),
        p_text(f1.adjusted_p),
        f"{pair.mcnemar.first_only:,} : {pair.mcnemar.second_only:,}",
        p_text(pair.mcnemar_adjusted_p),
    ]


def _row(
    comparison: ComparisonTable, row: HeadlineRow, tests: ModelComparison | Pending | None
) -> list[str]:
    best = tests.best if isinstance(tests, ModelComparison) else {}
    loss = "–"
    if row.loss is not None:
        loss = f"<b>{row.loss.per_study_mean:.3f}</b><span>({row.loss.global_mean:.3f})</span>"
    return [
        model_tag(row.name, comparison.styles[row.name]),
        *(_metric(row, metric, best.get(metric)) for metric, *_ in COLUMNS),
        loss,
    ]


def _metric(row: HeadlineRow, metric: str, best: str | None) -> str:
    value = row.values[metric]
    if value is None:
        return "–"
    star = ' <i class="lab-star" title="significantly best">★</i>' if best == row.name else ""
    return f"<b>{value:.3f}</b>{star}{_interval(row.intervals.get(metric), row.pending)}"


def _interval(interval: Interval | None, pending: bool) -> str:
    if interval is None:
        return "<span>…</span>" if pending else ""
    return f"<span>{interval.low:.3f}–{interval.high:.3f}</span>"


def _project_row(comparison: ComparisonTable, n_columns: int) -> str:
    figures = PROJECT_FIGURES[comparison.question.level]
    known = [f"<b>{figures[name]:.3f}</b>" if name in figures else "–" for name, *_ in COLUMNS]
    cells = "".join(f"<td>{cell}</td>" for cell in [*known, "–"][:n_columns])
    return (
        '<tr class="lab-elsewhere"><td>The team’s project on RSNA 2022<span>another data set: '
        f"not comparable with the rows above</span></td>{cells}</tr>"
    )


def p_text(value: float | None) -> str:
    """A p-value with three digits."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

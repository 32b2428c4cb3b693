"""Models beside each other: metrics with intervals, the best marked only where it is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import streamlit as st

from core.evaluation.comparison import ModelComparison
from core.evaluation.intervals import Interval
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.deferred import Pending, pool
from dashboard.evaluation.headline_rows import (
    PROJECT_FIGURES,
    REPLICATES,
    HeadlineRow,
    best_of,
    headline_rows,
    pair_tests,
)
from dashboard.evaluation.tables import model_tag
from dashboard.widgets.frame import draw
from dashboard.widgets.job_status import poll

COLUMNS: Final = (
    ("auc", "ROC AUC", "How often a positive scores above a negative; 0.5 is a coin."),
    ("average_precision", "Average precision", "Mean precision over recall; chance is prevalence."),
    ("f1", "F1", "At the rule's threshold."),
    ("recall", "Recall", "At the rule's threshold: share of positives found."),
    ("precision", "Precision", "At the rule's threshold: share of calls that are right."),
    ("specificity", "Specificity", "At the rule's threshold: share of negatives left alone."),
    ("accuracy", "Accuracy", "At the rule's threshold."),
    ("brier", "Brier ↓", "Mean squared error of the score; lower is better."),
    (
        "expected_calibration_error",
        "ECE ↓",
        "How far scores are from frequencies; lower is better.",
    ),
)
READING: Final = (
    "Read a cell as “value, with the range in which it would lie if other patients of the same "
    "kind were drawn” (95 %, patients resampled 1,000 times). ★ marks a model only where it beats "
    "every other by more than chance (Holm-adjusted p < 0.05)."
)


def headline(comparison: ComparisonTable) -> None:
    """Draw the table; while intervals are being computed it asks for them again by itself."""
    rows = headline_rows(comparison)
    tests = pair_tests(comparison)
    waiting = any(row.pending for row in rows) or isinstance(tests, Pending)
    draw(table_html(comparison, rows, tests))
    st.caption(READING)
    if isinstance(tests, ModelComparison) and tests.pairs:
        with st.expander("Pairwise tests: DeLong, McNemar, bootstrap difference"):
            draw(pairs_html(tests))
    if waiting:
        poll(_computing, every=1.0)


def _computing() -> bool:
    st.caption(f":material/hourglass_top: {REPLICATES:,} resamples are being drawn …")
    return pool().busy


def table_html(
    comparison: ComparisonTable,
    rows: Sequence[HeadlineRow],
    tests: ModelComparison | Pending | None,
) -> str:
    """The headline table."""
    loss = any(row.loss is not None for row in rows)
    head = "".join(f'<th title="{escape(why)}">{label}</th>' for _, label, why in COLUMNS)
    if loss:
        head += (
            '<th title="Of the RSNA 2022 competition; mean over studies, and in brackets '
            'normalised by the sum of all weights">Log loss ↓</th>'
        )
    body = "".join(_row(comparison, row, tests, loss) for row in rows)
    return (
        '<div class="lab-scroll"><table class="lab-table lab-numbers lab-headline"><thead><tr>'
        f"<th>Model</th>{head}</tr></thead><tbody>{body}{_project_row(comparison, loss)}</tbody>"
        "</table></div>"
    )


def pairs_html(tests: ModelComparison) -> str:
    """Every pair of models and how sure their difference is."""
    rows = ""
    for pair in tests.pairs:
        cells: list[str] = []
        if pair.delong is None:
            cells += ["–", "–"]
        else:
            found = pair.delong
            cells += [
                f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})",
                _p(pair.delong_adjusted_p),
            ]
        f1 = pair.differences.get("f1")
        if f1 is None or f1.value is None or f1.low is None or f1.high is None:
            cells += ["–", "–"]
        else:
            cells += [f"{f1.value:+.3f} ({f1.low:+.3f} to {f1.high:+.3f})", _p(f1.adjusted_p)]
        only = f"{pair.mcnemar.first_only:,} : {pair.mcnemar.second_only:,}"
        cells += [only, _p(pair.mcnemar_adjusted_p)]
        rows += (
            f"<tr><td>{escape(pair.first)} − {escape(pair.second)}</td>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    return (
        '<div class="lab-scroll"><table class="lab-table lab-numbers"><thead><tr><th>Pair</th>'
        "<th>AUC difference (DeLong)</th><th>adjusted p</th><th>F1 difference (bootstrap)</th>"
        "<th>adjusted p</th><th>only one right (McNemar)</th><th>adjusted p</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(
    comparison: ComparisonTable,
    row: HeadlineRow,
    tests: ModelComparison | Pending | None,
    loss: bool,
) -> str:
    cells = "".join(_metric(row, metric, best_of(tests, metric)) for metric, *_ in COLUMNS)
    if loss:
        cells += (
            "<td>–</td>"
            if row.loss is None
            else f"<td><b>{row.loss.per_study_mean:.3f}</b>"
            f"<span>({row.loss.global_mean:.3f})</span></td>"
        )
    return f"<tr><td>{model_tag(row.name, comparison.styles[row.name])}</td>{cells}</tr>"


def _metric(row: HeadlineRow, metric: str, best: str | None) -> str:
    value = row.values[metric]
    if value is None:
        return "<td>–</td>"
    star = ' <i class="lab-star" title="significantly best">★</i>' if best == row.name else ""
    return f"<td><b>{value:.3f}</b>{star}{_interval(row.intervals.get(metric), row.pending)}</td>"


def _interval(interval: Interval | None, pending: bool) -> str:
    if interval is None:
        return "<span>…</span>" if pending else ""
    return f"<span>{interval.low:.3f}–{interval.high:.3f}</span>"


def _project_row(comparison: ComparisonTable, loss: bool) -> str:
    figures = PROJECT_FIGURES[comparison.question.level]
    cells = "".join(
        f"<td><b>{figures[metric]:.3f}</b></td>" if metric in figures else "<td>–</td>"
        for metric, *_ in COLUMNS
    )
    return (
        '<tr class="lab-elsewhere"><td>The team’s project on RSNA 2022<span>another data set: '
        f"not comparable with the rows above</span></td>{cells}{'<td>–</td>' if loss else ''}</tr>"
    )


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

"""The view as JSON, CSV and one self-contained HTML file."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import plotly.graph_objects as go

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.evaluation.confusion import ConfusionCounts
from core.system.csv_text import table_csv
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.headline_rows import HeadlineRow
from dashboard.evaluation.provenance import applied_rule, provenance
from dashboard.evaluation.subgroup_results import findings_now
from dashboard.evaluation.threshold_counts import LiveFigures, live_figures, what_if
from dashboard.evaluation.view import EvaluationView, to_query
from dashboard.session.urls import page_url
from dashboard.widgets.overlay import symbol_svg

RATIOS: Final = (
    "recall", "specificity", "precision", "negative_predictive_value", "f1", "accuracy",
    "balanced_accuracy", "mcc",
)  # fmt: skip
COUNTS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def json_text(
    comparison: ComparisonTable, view: EvaluationView, rows: Sequence[HeadlineRow]
) -> str:
    """The figures shown as the text of a JSON file; an undefined one is null."""
    live = figures_now(comparison, view)
    truth = comparison.evaluated.data.truth
    findings = findings_now(comparison, view)
    content = {
        "data": comparison.truth.label,
        "synthetic": comparison.truth.synthetic,
        "level": comparison.question.level,
        "slice_truth": comparison.question.definition,
        "pooling": view.pooling,
        "studies": truth.n_studies,
        "fractured_studies": int(truth.fractured.any(axis=1).sum()),
        "view": to_query(view),
        "active_model": comparison.focus(view),
        "thresholds_from": provenance(comparison),
        "models": {row.name: _model(comparison, row, live[row.name]) for row in rows},
        "subgroups": None if findings is None else findings.to_json(),
        "notes": comparison.notes,
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def csv_text(comparison: ComparisonTable, view: EvaluationView, rows: Sequence[HeadlineRow]) -> str:
    """One CSV row per model for all items together, and one for each of C1..C7."""
    live = figures_now(comparison, view)
    active = comparison.focus(view)
    free = ("auc", "average_precision", "brier", "expected_calibration_error")
    lines: list[list[object]] = []
    for row in rows:
        own = live[row.name]
        lead = [comparison.truth.label, comparison.question.level, row.name]
        interval = row.intervals.get("auc")
        ends = ["", ""] if interval is None else [interval.low, interval.high]
        threshold = own.thresholds[0] if len(own.thresholds) == 1 else ""
        values = ["" if row.values[name] is None else row.values[name] for name in free]
        rule = applied_rule(own.thresholds, comparison.chosen.get(row.name))
        origin = [rule, "yes" if row.name == active else "no"]
        lines.append([*lead, "all", threshold, *origin, *_cells(own.counts), *values, *ends])
        for j, (name, counts) in enumerate(own.per_vertebra.items()):
            at = own.thresholds[j if len(own.thresholds) > 1 else 0]
            lines.append([*lead, name, at, *origin, *_cells(counts), *[""] * (len(free) + 2)])
    heading = ["data", "level", "model", "part", "threshold", "rule", "active", *COUNTS, *RATIOS]
    return table_csv([*heading, *free, "auc_low", "auc_high"], lines)


def html_report(
    comparison: ComparisonTable, view: EvaluationView, tables: Mapping[str, str],
    figures: Mapping[str, go.Figure],
) -> str:  # fmt: skip
    """One HTML file with tables and charts that loads nothing else.

    Args:
        comparison: Models and studies shown.
        view: The current view.
        tables: HTML by heading.
        figures: Charts by heading.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    truth = comparison.evaluated.data.truth
    parts = [f"<section><h2>{escape(head)}</h2>{table}</section>" for head, table in tables.items()]
    for number, (head, figure) in enumerate(figures.items()):
        drawn = go.Figure(figure)
        drawn.update_layout(template="plotly_white", autosize=True)
        html = drawn.to_html(
            full_html=False, include_plotlyjs=number == 0, config={"displaylogo": False}
        )
        parts.append(f"<section><h2>{escape(head)}</h2>{html}</section>")
    legend = " · ".join(
        f"{symbol_svg(comparison.styles[name].symbol, comparison.styles[name].color)} "
        f"{escape(name)}"
        for name in comparison.names
    )
    warning = SYNTHETIC_WARNING if comparison.truth.synthetic else ""
    summary = (
        f"{escape(comparison.truth.label)}: {truth.n_studies:,} studies, "
        f"{int(truth.fractured.any(axis=1).sum()):,} fractured. Level: "
        f"{comparison.question.level}. Made {now}."
    )
    lines = "".join(
        _report_line(comparison, name, own, active=name == comparison.focus(view))
        for name, own in figures_now(comparison, view).items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Evaluation</title>"
        f"<style>{_STYLE}</style></head><body><h1>Evaluation</h1><p>{summary}</p>"
        f"<p class='warning'>{escape(warning)} {escape(NOT_FOR_CLINICAL_USE)}</p><p>{legend}</p>"
        f"<p>{escape(provenance(comparison))}</p><ul>{lines}</ul>{''.join(parts)}<p class='small'>"
        f"Page of this view: {escape(page_url('evaluation', **to_query(view)))}</p></body></html>"
    )


def _report_line(comparison: ComparisonTable, name: str, live: LiveFigures, *, active: bool) -> str:
    """A model's thresholds, what set them, and what they lead to."""
    at = " · ".join(f"{value:.3f}" for value in live.thresholds)
    rule = applied_rule(live.thresholds, comparison.chosen.get(name))
    return (
        f"<li><b>{escape(name)}</b>{' (active model)' if active else ''} at {at} "
        f"({escape(rule)}): {escape(what_if(comparison.question.level, live.counts))}.</li>"
    )


def figures_now(comparison: ComparisonTable, view: EvaluationView) -> dict[str, LiveFigures]:
    """Counts of every model at the thresholds of the view."""
    return {
        name: live_figures(comparison.at_level(name), comparison.thresholds(view, name))
        for name in comparison.names
    }


def _model(comparison: ComparisonTable, row: HeadlineRow, live: LiveFigures) -> dict[str, Any]:
    chosen = comparison.chosen.get(row.name)
    return {
        "thresholds": list(live.thresholds),
        "applied": applied_rule(live.thresholds, chosen),
        "rule": None if chosen is None else chosen.points[0].rule,
        "rule_thresholds": None if chosen is None else list(chosen.values),
        "chosen_on": None if chosen is None else chosen.on,
        "at_threshold": _counts(live.counts),
        "per_vertebra": {name: _counts(counts) for name, counts in live.per_vertebra.items()},
        "at_rule": dict(row.values),
        "intervals": {
            name: None if interval is None else [interval.low, interval.high]
            for name, interval in row.intervals.items()
        },
        "competition": None
        if row.loss is None
        else {
            "weighted_log_loss": row.loss.per_study_mean,
            "weighted_log_loss_global": row.loss.global_mean,
        },
    }


def _counts(counts: ConfusionCounts) -> dict[str, float]:
    return {name: getattr(counts, name) for name in (*COUNTS, *RATIOS)}


def _cells(counts: ConfusionCounts) -> list[float]:
    return list(_counts(counts).values())


_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;"
    "color:#10263a}h1,h2{font-family:Georgia,serif}table{border-collapse:collapse;font-size:13px;"
    "font-variant-numeric:tabular-nums}td,th{padding:.35rem .6rem;border-bottom:1px solid #d3dee5;"
    "text-align:left;vertical-align:top}td span{display:block;color:#51677a;font-size:11px}"
    ".warning{background:#fdf1dd;border-left:4px solid #d9820f;padding:.6rem .8rem}"
    ".lab-model{display:inline-flex;gap:.35rem;align-items:center;white-space:nowrap}"
    ".lab-model span{display:inline;color:inherit;font-size:inherit}"
    ".lab-confusions{display:flex;flex-wrap:wrap;gap:1.5rem}.lab-chip{display:inline-block;"
    "width:.7em;height:.7em;margin-right:.4em}.small{color:#51677a;font-size:12px}"
    "caption{text-align:left}"
)

"""Downloads of the view: CSV, JSON, a self-contained HTML report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from dashboard.evaluation.charts.forest import forest_figure
from dashboard.evaluation.charts.roc_pr import pr_figure, roc_figure
from dashboard.evaluation.comparison import ComparisonTable, drawn_curves, with_points_as_set
from dashboard.evaluation.curve_charts import panels_figure, title, with_band
from dashboard.evaluation.export import csv_text, figures_now, html_report, json_text
from dashboard.evaluation.headline import table_html
from dashboard.evaluation.headline_rows import HeadlineRow, headline_rows, pair_tests
from dashboard.evaluation.state import evaluation_view, latest_view
from dashboard.evaluation.subgroup_results import findings_now
from dashboard.evaluation.tables import (
    confusion_html,
    metrics_html,
    subgroups_html,
    vertebra_html,
)
from dashboard.evaluation.view import EvaluationView


def downloads(comparison: ComparisonTable) -> None:
    """Three buttons; a file is made when its button is pressed, outside a run of the session."""
    title("Download", "At the thresholds of the moment of the click.")
    stem = f"evaluation-{comparison.truth.truth_id}-{comparison.question.level}"
    latest = latest_view()

    def made(text: Callable[[ComparisonTable], str]) -> str:
        with latest.pinned() as view:
            return text(with_points_as_set(comparison, view))

    with st.container(horizontal=True):
        for label, ending, mime, icon, text in (
            ("CSV", "csv", "text/csv", "table", partial(_figures, csv_text)),
            ("JSON", "json", "application/json", "data_object", partial(_figures, json_text)),
            ("HTML report", "html", "text/html", "article", report),
        ):
            st.download_button(
                label, data=partial(made, text), file_name=f"{stem}.{ending}", mime=mime,
                icon=f":material/{icon}:", key=f"ev_{ending}_out", on_click="ignore",
            )  # fmt: skip


def report(comparison: ComparisonTable) -> str:
    """The view as an HTML report."""
    view = evaluation_view()
    live = figures_now(comparison, view)
    rows = headline_rows(comparison)
    curves = [with_band(comparison, drawn) for drawn in drawn_curves(comparison)]
    question, styles = comparison.question, comparison.styles
    tables = {
        "Models": table_html(comparison, rows, pair_tests(comparison)),
        "At the threshold": metrics_html(live, styles, view.prevalence),
        "Confusion": confusion_html(question, live, styles),
    }
    if question.knows_vertebrae:
        tables["By vertebra"] = "".join(
            vertebra_html(name, own, styles[name]) for name, own in live.items()
        )
    findings = findings_now(comparison, view)
    if findings is not None:
        tables["Subgroups"] = subgroups_html(findings)
    figures = {"ROC": roc_figure(curves), "Precision–recall": pr_figure(curves)}
    if question.knows_vertebrae:
        figures["C1–C7 one by one"] = panels_figure(comparison)
    if findings is not None:
        found = findings.report
        figures["Subgroups"] = forest_figure(found.groups, found.overall, view.measure)
    return html_report(comparison, view, tables, figures)


def _figures(
    write: Callable[[ComparisonTable, EvaluationView, Sequence[HeadlineRow]], str],
    comparison: ComparisonTable,
) -> str:
    return write(comparison, evaluation_view(), headline_rows(comparison))

"""The view to take away: CSV, JSON, a self-contained HTML report."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from core.constants import VERTEBRAE
from dashboard.evaluation.charts.roc_pr import pr_figure, roc_figure
from dashboard.evaluation.charts.small_multiples import small_multiples_figure
from dashboard.evaluation.comparison import ComparisonTable, drawn_curves
from dashboard.evaluation.curve_charts import title, with_band
from dashboard.evaluation.export import csv_text, figures_now, html_report, json_text
from dashboard.evaluation.headline import table_html
from dashboard.evaluation.headline_rows import headline_rows, pair_tests
from dashboard.evaluation.state import evaluation_view
from dashboard.evaluation.tables import confusion_html, metrics_html, vertebra_html
from dashboard.evaluation.view import to_query


def downloads(comparison: ComparisonTable) -> None:
    """Three buttons; a file is made when its button is pressed."""
    title("Take it with you", "At the thresholds of the moment you press.")
    stem = f"evaluation-{comparison.truth.truth_id}-{comparison.question.level}"
    with st.container(horizontal=True):
        st.download_button(
            "CSV", data=lambda: _csv(comparison), file_name=f"{stem}.csv", mime="text/csv",
            icon=":material/table:", key="ev_csv_out", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "JSON", data=lambda: _json(comparison), file_name=f"{stem}.json",
            mime="application/json", icon=":material/data_object:", key="ev_json_out",
            on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "HTML report", data=lambda: report(comparison), file_name=f"{stem}.html",
            mime="text/html", icon=":material/article:", key="ev_html_out", on_click="ignore",
        )  # fmt: skip


def report(comparison: ComparisonTable) -> str:
    """The HTML report of what is on show."""
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
    figures = {"ROC": roc_figure(curves), "Precision–recall": pr_figure(curves)}
    if question.knows_vertebrae:
        figures["C1–C7 one by one"] = small_multiples_figure(
            {
                name: drawn_curves(comparison, j, question.of_vertebrae)
                for j, name in enumerate(VERTEBRAE)
            }
        )
    return html_report(comparison, view, tables, figures, urlencode(to_query(view)))


def _csv(comparison: ComparisonTable) -> str:
    return csv_text(comparison, evaluation_view(), headline_rows(comparison))


def _json(comparison: ComparisonTable) -> str:
    return json_text(comparison, evaluation_view(), headline_rows(comparison))

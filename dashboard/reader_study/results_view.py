"""The results of a reader study on the page."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.evaluation.estimates import Estimate
from core.reader_study.records import ReaderStudy
from core.reader_study.result_text import difference_text, estimate_text
from core.reader_study.results import (
    FIGURES,
    CallFigures,
    CaseResult,
    ReaderResult,
    StudyResults,
)
from dashboard.reader_study.roc_chart import reader_roc
from dashboard.session.urls import page_url
from dashboard.studies.data_sets import data_sets
from dashboard.widgets.frame import figures_list, panel_title
from dashboard.widgets.html_table import html_table
from dashboard.widgets.plot_area import show_chart

_MOST_CASES = 10


def results_view(results: StudyResults, study: ReaderStudy, own: int | None = None) -> None:
    """Draw results.

    Args:
        results: The results.
        study: The study.
        own: Number of the reader who looks; None for lecturers.
    """
    mine = next((one for one in results.readers if one.reader == own), None)
    with st.container(key="reader_results"):
        if mine is not None:
            _own(mine, results)
        chart, table = st.columns([4, 5], gap="medium")
        with chart:
            panel_title("The class and the model", "each point is a reader, the line is the model")
            show_chart(
                reader_roc(results, own), "reader_roc",
                "ROC curve of the model, with each reader as a point",
            )  # fmt: skip
        with table:
            panel_title(
                "On average over readers",
                "with 95 % intervals for other readers and cases; median time of an answer",
            )
            st.html(_arms(results))
            _tests(results)
        panel_title("The cases that fooled most", _wrong(results))
        st.html(_cases(results, study))


def _own(mine: ReaderResult, results: StudyResults) -> None:
    figures = mine.all
    panel_title(f"You are reader {mine.reader}", f"{figures.n_cases} cases answered")
    model = None if results.model is None else results.model.figures
    shown = {
        _beside("Sensitivity", model and model.sensitivity): _value(figures.sensitivity),
        _beside("Specificity", model and model.specificity): _value(figures.specificity),
        _beside("AUC", model and model.auc): _value(figures.auc),
        "Median time": f"{figures.seconds or 0:.0f} s",
        "Fractured vertebrae named": _value(figures.vertebrae),
        "Boxes on a fracture": f"{figures.boxes_right} of {figures.boxes}",
    }
    figures_list(shown, "lab-figures-small")
    if mine.without is not None and mine.helped is not None:
        st.caption(
            f"Without help: {_short(mine.without)}. With the model's help: {_short(mine.helped)}."
        )
    if mine.with_model is not None:
        st.caption(f"Agreement with the model (Cohen's κ): {estimate_text(mine.with_model)}.")


def _beside(name: str, model: Estimate | None) -> str:
    return name if model is None else f"{name} (model {model.value:.2f})"


def _value(found: Estimate | None) -> str:
    if found is None:
        return "–"
    known = found.low is not None and found.high is not None
    around = f" <small>{found.low:.2f}–{found.high:.2f}</small>" if known else ""
    return f"{found.value:.2f}{around}"


def _short(figures: CallFigures) -> str:
    return (
        f"sensitivity {estimate_text(figures.sensitivity)}, specificity "
        f"{estimate_text(figures.specificity)}, {figures.seconds or 0:.0f} s a case"
    )


def _arms(results: StudyResults) -> str:
    names = {False: "Without help", True: "With help"}
    rows = [
        (
            names[arm.helped], *(estimate_text(arm.means[name]) for name in FIGURES),
            f"{arm.seconds:.0f} s",
        )
        for arm in results.arms
    ]  # fmt: skip
    if results.model is not None:
        model = results.model.figures
        cells = (model.auc, model.sensitivity, model.specificity)
        rows.append(("Model", *(estimate_text(cell) for cell in cells), "–"))
    return html_table(["", "AUC", "Sensitivity", "Specificity", "Time"], rows)


def _tests(results: StudyResults) -> None:
    lines = [
        f"Help changes the {'AUC' if name == 'auc' else name} by {difference_text(found)}."
        for name, found in results.help.items()
        if found is not None
    ]
    lines += [
        f"AUC of the readers {'with' if arm.helped else 'without'} help less the model's: "
        f"{difference_text(arm.versus_model)}."
        for arm in results.arms
        if arm.versus_model is not None
    ]
    lines.append(f"Agreement of the readers (Fleiss' κ): {estimate_text(results.agreement)}.")
    st.caption(
        "  \n".join(lines),
        help="Obuchowski and Rockette's analysis with readers and cases at random. Kappa is 1 for "
        "perfect agreement and 0 for agreement by chance.",
    )


def _wrong(results: StudyResults) -> str:
    wrong = sum(case.n_wrong > 0 for case in results.cases)
    return f"{wrong} of {results.n_cases} cases were called wrongly by somebody"


def _cases(results: StudyResults, study: ReaderStudy) -> str:
    has_model = results.model is not None
    headings = ["Case", "True", "Wrong calls", "Mean rating (1–6)", "Median time"]
    rows = [_case(case, study, has_model) for case in results.cases[:_MOST_CASES]]
    return html_table([*headings, "Model"] if has_model else headings, rows)


def _case(case: CaseResult, study: ReaderStudy, has_model: bool) -> tuple[str, ...]:
    place = next(k for k, one in enumerate(study.cases, 1) if one.study_id == case.study_id)
    cells = (
        f'<a href="{escape(_link(case, study))}" target="_blank">Case {place}</a>',
        escape(case.fractured or "no fracture"),
        f"{case.n_wrong} of {case.n_readers}",
        f"{case.mean_rating:.1f}",
        f"{case.seconds:.0f} s",
    )
    if not has_model:
        return cells
    said = "–" if case.model_prob is None else f"p = {case.model_prob:.2f}"
    return (*cells, f"{said}, {'wrong' if case.model_wrong else 'right'}")


def _link(case: CaseResult, study: ReaderStudy) -> str:
    """Link to the case on Diagnosis, with its truth."""
    root = study.root.resolve()
    known = next((one for one in data_sets() if one.root.resolve() == root), None)
    other = {} if known is None or known.in_use else {"data": known.key}
    return page_url("diagnosis", study=case.study_id, truth=1, **other)

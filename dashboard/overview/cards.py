"""Cards of the Overview page."""

from __future__ import annotations

import math
from html import escape

import streamlit as st

from core.errors import DataRootError
from core.models.bundles import BundleInfo
from dashboard.overview.pipeline import pipeline_picture
from dashboard.overview.spine_mark import spine_mark
from dashboard.studies.bundle_figures import (
    Headline,
    headline,
    patient_auc,
    trained_on_synthetic,
)
from dashboard.studies.cohort import CurrentDataSet, all_bundles, bundle_detail, bundle_title
from dashboard.studies.current_set import current_cohort, current_set
from dashboard.studies.data_sets import title_of
from dashboard.widgets.frame import draw
from dashboard.widgets.html_table import html_table
from dashboard.widgets.notices import show_error

PROJECT_RESULTS = (
    ("Vertebra detection", "slice × vertebra", "accuracy 0.945", "AUC 0.959"),
    ("Fracture detection", "slice", "accuracy 0.980", "AUC 0.946"),
    ("Fracture detection", "vertebra", "recall 0.835", "AUC 0.748"),
    ("Fracture detection", "patient", "recall 0.996", "AUC 0.747"),
    ("Localisation", "box", "IoU 0.100", "–"),
)
"""Results of the team's project on the RSNA 2022 data: task, level, figure, ROC AUC."""


def hero() -> None:
    """Draw the question that the program answers, and its sign."""
    draw(
        '<section class="lab-hero"><div><span class="lab-eyebrow">C-Spine Fracture Lab</span>'
        "<h1>Is the cervical spine fractured, where, and how certain is that?</h1>"
        "<p>The networks compute fracture probabilities for every slice of a CT series, for each "
        "of the vertebrae C1–C7 and for the patient. You can move every threshold, and every "
        "figure states which data it was measured on.</p></div>"
        f"{spine_mark()}</section>"
    )


def method_card() -> None:
    """Draw the method as a picture."""
    draw(f'<section class="lab-card"><h2>From voxels to a call</h2>{pipeline_picture()}</section>')


def data_set_card() -> None:
    """Draw the size of the data set on show, or how to get a data set."""
    try:
        cohort = current_cohort()
    except DataRootError as error:
        show_error(error, icon=":material/database_off:")
        return
    st.html(_no_data_set() if cohort is None else _data_set(cohort))


def bundles_card() -> None:
    """Draw the table of networks with their held-out figures."""
    found = all_bundles()
    if not found:
        st.html(
            '<section class="lab-card"><h2>Networks</h2><p class="lab-muted">No bundle was found. '
            "<code>make demo-models</code> trains a vertebra and a fracture network on synthetic "
            "studies.</p></section>"
        )
        return
    headings = ("Bundle", "Task", "Held-out figure (95 % interval)")
    table = html_table(headings, map(_bundle_row, found), looks="")
    st.html(f'<section class="lab-card"><h2>Networks</h2>{table}</section>')


def project_results_card() -> None:
    """Draw the team's own results on RSNA data, separate from all figures of this program."""
    table = html_table(("Task", "Level", "Figure", "ROC AUC"), PROJECT_RESULTS, looks="")
    st.html(
        '<section class="lab-card"><h2>The project on RSNA 2022</h2>'
        '<p class="lab-muted">Measured by the team on 2,019 real studies, not on the synthetic '
        "data set: these figures are not comparable with those of the networks above.</p>"
        f"{table}</section>"
    )


def _data_set(cohort: CurrentDataSet) -> str:
    """HTML of the data set card."""
    labelled = cohort.n_labelled
    share = f"{100 * cohort.n_fractured / labelled:.0f} %" if labelled else "–"
    slices = "–" if cohort.n_slices is None else f"{cohort.n_slices:,}"
    figures = "".join(
        f"<div><dt>{term}</dt><dd>{value}</dd></div>"
        for term, value in (
            ("study" if len(cohort.studies) == 1 else "studies", f"{len(cohort.studies):,}"),
            ("slices", slices),
            ("fractured" if labelled else "fractured (no labels)", share),
        )
    )
    onward = "Chosen on the Dataset page."
    choice = current_set()
    if choice is None or choice.in_use:
        onward = "To use another data set: <code>RSNA_ROOT=/data make run</code>."
    return (
        f'<section class="lab-card"><h2>Data set in use: {escape(title_of(cohort.root))}'
        f'</h2><dl class="lab-figures">{figures}</dl>'
        f'<p class="lab-muted">{onward}</p></section>'
    )


def _no_data_set() -> str:
    return (
        '<section class="lab-card"><h2>No data set yet</h2><p class="lab-muted"><code>make run'
        "</code> prepares the demo cohort of synthetic studies before it opens the dashboard; "
        "<code>python -m core demo</code> does only that. <code>RSNA_ROOT=/data make run</code> "
        "uses the RSNA 2022 set."
        "</p></section>"
    )


def _bundle_row(bundle: BundleInfo) -> tuple[str, str, str]:
    config = bundle.config
    pill = ""
    if trained_on_synthetic(bundle):
        pill = ' <span class="lab-pill lab-pill-outline">trained on synthetic</span>'
    how = config.preparation
    crop = "whole slice" if how.crop == 1 else f"central {100 * how.crop:.0f} %"
    if how.field_mm is not None:
        crop = f"{how.field_mm:g} mm around the spine"
    facts = (
        f"{bundle_detail(bundle)}, {config.backbone}, {config.parameters / 1e6:.1f} M parameters · "
        f"{how.size} px, {crop}, window C {how.window_center:g} W {how.window_width:g} HU"
    )
    title = f"<b>{escape(bundle_title(bundle))}</b>{pill}"
    return (
        f'{title}<br><span class="lab-muted">{escape(facts)}</span>',
        escape(config.title),
        _figures(bundle),
    )


def _figures(bundle: BundleInfo) -> str:
    """Held-out figures; those of the default judge include the AUC of its calls."""
    found = [figure for figure in (headline(bundle), patient_auc(bundle)) if figure is not None]
    return "<br>".join(map(_figure, found)) or '<span class="lab-muted">not measured</span>'


def _figure(figure: Headline) -> str:
    known = math.isfinite(figure.low) and math.isfinite(figure.high)
    interval = f" ({figure.low:.3f}–{figure.high:.3f})" if known else ""
    patients = "" if figure.n_patients is None else f", {figure.n_patients} studies"
    return (
        f'<b class="lab-number">{figure.value:.3f}</b>{interval}'
        f'<br><span class="lab-muted">{escape(figure.name)}{patients}</span>'
    )

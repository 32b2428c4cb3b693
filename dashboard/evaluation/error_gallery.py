"""Gallery of wrong calls, the worst first: pictures with boxes, and a way through on Diagnosis."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import Final

import numpy as np
import streamlit as st

from core.constants import VERTEBRAE
from core.errors import CSpineError
from core.evaluation.wrong_calls import WrongCall, wrong_calls
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.evaluation.comparison import ComparisonTable, networks_behind
from dashboard.evaluation.state import (
    ERRORS_PART,
    bound,
    errors_shown,
    evaluation_view,
    show_group,
    show_more_errors,
)
from dashboard.evaluation.subgroup_results import condition_text, facts_shown, only_group
from dashboard.evaluation.tables import model_tag
from dashboard.evaluation.threshold_counts import WORDS, threshold_scores
from dashboard.evaluation.view import EvaluationView, Thresholds
from dashboard.session.urls import PAGES
from dashboard.session.wording import literal
from dashboard.session.worklist import WorkItem, Worklist, open_worklist
from dashboard.studies.pictures import WantedPicture
from dashboard.studies.synthetic_studies import shown_here
from dashboard.widgets.frame import draw
from dashboard.widgets.notices import show_error
from dashboard.widgets.pictures import picture_html

AT_ONCE: Final = 6
AT_MOST: Final = 60


@st.fragment(key=ERRORS_PART)
def error_gallery(comparison: ComparisonTable) -> None:
    """List false negatives or false positives of the active model, of all studies or a group."""
    view = evaluation_view()
    name = comparison.focus(view)
    words = WORDS[comparison.question.level]
    names = {
        "missed": f"{words.positives} {words.missed}".capitalize(),
        "alarms": f"{words.negatives} {words.called}".capitalize(),
    }
    bound(
        st.segmented_control, "errors", view.errors, "Errors", list(names), required=True,
        format_func=names.get, label_visibility="collapsed", keep_moved=True,
    )  # fmt: skip
    view = evaluation_view()
    thresholds = comparison.thresholds(view, name)
    try:
        _group_filter(comparison, view)
        calls, total = _calls(comparison, name, thresholds)
    except CSpineError as error:
        show_error(error, icon=":material/error:")
        return
    draw(_heading(comparison, name, total, thresholds))
    if not calls:
        st.html('<div class="lab-blank">No such error at this threshold.</div>')
        return
    shown = min(errors_shown(AT_ONCE), len(calls))
    worklist = _worklist(comparison, name, names[view.errors], thresholds, calls)
    columns = st.columns(2, gap="medium")
    for k, call in enumerate(calls[:shown]):
        with columns[k % 2], st.container(key=f"ev_error_{k}"):
            _error(comparison, call, worklist)
    if shown < len(calls):
        st.button(
            f"Show {min(AT_ONCE, len(calls) - shown)} more", key="ev_more",
            on_click=show_more_errors, args=(AT_ONCE,),
        )  # fmt: skip


def _group_filter(comparison: ComparisonTable, view: EvaluationView) -> None:
    """Name the group that the errors are filtered to, with a button that shows all again."""
    if view.group:
        text = condition_text(facts_shown(comparison), view.group)
        st.button(
            f"Only {literal(text)}", key="ev_group_clear", icon=":material/filter_alt_off:",
            help="Shows the errors of all studies again.", on_click=show_group, args=((),),
        )  # fmt: skip


def _calls(
    comparison: ComparisonTable, name: str, thresholds: Thresholds
) -> tuple[list[WrongCall], int]:
    """The wrong calls of a model, the worst first, and how many there are in all."""
    view = evaluation_view()
    model = comparison.at_level(name)
    asked = model.items()
    limits = np.array(thresholds)
    if len(thresholds) > 1 and bool((asked.vertebrae < 0).any()):
        asked, scores, half = threshold_scores(model, thresholds)
        asked, limits = replace(asked, scores=scores), np.array([half])
    asked = only_group(comparison, asked, view.group)
    return wrong_calls(comparison.evaluated.data, name, asked, limits, view.errors, at_most=AT_MOST)


def _worklist(
    comparison: ComparisonTable, name: str, kind: str, thresholds: Thresholds,
    calls: list[WrongCall],
) -> Worklist:  # fmt: skip
    """The errors that can be shown, for Diagnosis with the model's networks and thresholds."""
    root, level = comparison.truth.root, comparison.question.level
    here = shown_here((call.study_id for call in calls), root)
    items = tuple(
        WorkItem(
            call.study_id, _figures(call), call.slice_index,
            None if call.vertebra is None else VERTEBRAE[call.vertebra],
        )
        for call in calls if call.study_id in here
    )  # fmt: skip
    shared = thresholds[0] if len(thresholds) == 1 else None
    return Worklist(
        f"{kind}, {name}", items, "evaluation", networks_behind(comparison.models[name]),
        patient=shared if level == "patient" else None,
        vertebra=shared if level == "vertebra" else None,
    )  # fmt: skip


def _error(comparison: ComparisonTable, call: WrongCall, worklist: Worklist) -> None:
    """Draw one error: picture, text and a button."""
    root = comparison.truth.root
    places = [k for k, item in enumerate(worklist.items) if item.study_id == call.study_id
              and item.text == _figures(call)]  # fmt: skip
    picture, text = st.columns([2, 5], vertical_alignment="center", gap="medium")
    with picture:
        if places:
            where = "" if call.slice_index is None else f", slice {call.slice_index}"
            wanted = WantedPicture(call.study_id, call.slice_index, root)
            draw(picture_html(wanted, f"Study …{call.study_id[-8:]}{where}, bone window"))
        else:
            st.html('<div class="lab-no-picture">no picture</div>')
    with text:
        draw(_row(comparison, call))
        if not places:
            st.caption("not on disk here")
        elif st.button(
            "Open in Diagnosis", key=_button_key(call), icon=":material/radiology:",
            help="Opens this error there, with buttons to the next and the previous one.",
        ):  # fmt: skip
            open_worklist(worklist, places[0])
            st.switch_page(PAGES / "diagnosis.py")


def _button_key(call: WrongCall) -> str:
    """Key by the error itself, so that a click is never taken for one on the error now there."""
    return f"ev_open_{call.study_id}_{call.vertebra}_{call.slice_index}"


def _row(comparison: ComparisonTable, call: WrongCall) -> str:
    truth = comparison.evaluated.data.truth
    study = int(np.searchsorted(truth.study_ids, call.study_id))
    fractured = [
        name for name, is_so in zip(VERTEBRAE, truth.fractured[study], strict=True) if is_so
    ]
    label = f"truth: {', '.join(fractured)} fractured" if fractured else "truth: intact"
    chip = ""
    if call.vertebra is not None:
        name = VERTEBRAE[call.vertebra]
        color = VERTEBRA_COLORS[name]
        chip = f'<span class="lab-chip" style="background:{color}"></span><b>{name}</b> '
    where = "" if call.slice_index is None else f"slice {call.slice_index} · "
    return (
        f'<div class="lab-error"><span>{chip}Study …{escape(call.study_id[-8:])}</span>'
        f'<span class="lab-muted">{where}{label}</span>'
        f'<span class="lab-number">{_figures(call)}</span></div>'
    )


def _figures(call: WrongCall) -> str:
    return f"score {call.score:.3f}, threshold {call.threshold:.3f}, off by {call.margin:.3f}"


def _heading(
    comparison: ComparisonTable, name: str, total: int, thresholds: tuple[float, ...]
) -> str:
    at = f"threshold {thresholds[0]:.3f}" if len(thresholds) == 1 else "its seven thresholds"
    order = "the most confident error first"
    return (
        f'<div class="lab-panel-title">{model_tag(name, comparison.styles[name])}'
        f"<span>{total:,} at {at}, {order}. A picture shows the slice to look at first: for a miss "
        "the middle of the fractured vertebra, for a false alarm the slice of the highest "
        "score. True boxes are dashed green, those of the localiser violet.</span></div>"
    )

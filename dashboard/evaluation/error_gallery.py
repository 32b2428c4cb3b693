"""Gallery of wrong calls, the worst first, with pictures and links to Diagnosis."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from html import escape
from typing import Final

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.constants import VERTEBRAE
from core.evaluation.wrong_calls import WrongCall, wrong_calls
from core.visualization.colors import VERTEBRA_COLORS
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.state import bound, errors_shown, evaluation_view, show_more_errors
from dashboard.evaluation.tables import model_tag
from dashboard.evaluation.threshold_counts import WORDS, threshold_scores
from dashboard.session.urls import page_url
from dashboard.session.wording import time_left
from dashboard.studies.synthetic_studies import can_show, is_ready, try_picture
from dashboard.widgets.frame import draw

AT_ONCE: Final = 6
AT_MOST: Final = 60


@st.fragment
def error_gallery(comparison: ComparisonTable) -> None:
    """List false negatives or false positives of the active model at its thresholds."""
    view = evaluation_view()
    name = comparison.focus(view)
    words = WORDS[comparison.question.level]
    names = {
        "missed": f"{words.positives} {words.missed}".capitalize(),
        "alarms": f"{words.negatives} {words.called}".capitalize(),
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        bound(
            st.segmented_control, "errors", view.errors, "Errors", list(names), required=True,
            format_func=names.get, label_visibility="collapsed", keep_moved=True,
        )  # fmt: skip
        st.button(
            "Update the list", icon=":material/sync:", key="ev_follow",
            help="Lists the errors at the current thresholds.",
        )  # fmt: skip
    view = evaluation_view()
    thresholds = comparison.thresholds(view, name)
    model = comparison.at_level(name)
    asked = model.items()
    limits = np.array(thresholds)
    if len(thresholds) > 1 and bool((asked.vertebrae < 0).any()):
        asked, scores, half = threshold_scores(model, thresholds)
        asked, limits = replace(asked, scores=scores), np.array([half])
    calls, total = wrong_calls(
        comparison.evaluated.data, name, asked, limits, view.errors, at_most=AT_MOST
    )
    draw(_heading(comparison, name, total, thresholds))
    if not calls:
        st.html('<div class="lab-blank">No such error at this threshold.</div>')
        return
    shown = min(errors_shown(AT_ONCE), len(calls))
    _rows(comparison, calls[:shown])
    if shown < len(calls):
        st.button(
            f"Show {min(AT_ONCE, len(calls) - shown)} more", key="ev_more",
            on_click=show_more_errors, args=(AT_ONCE,),
        )  # fmt: skip


def _rows(comparison: ComparisonTable, calls: list[WrongCall]) -> None:
    """Draw texts first, then pictures one by one, with the time left."""
    places: list[DeltaGenerator] = []
    columns = st.columns(2, gap="medium")
    for k, call in enumerate(calls):
        with columns[k % 2], st.container(key=f"ev_error_{k}"):
            picture, text = st.columns([2, 5], vertical_alignment="center", gap="medium")
            with picture:
                places.append(st.empty())
            with text:
                draw(_row(comparison, call))
                _link(comparison, call)
    missing = [k for k, call in enumerate(calls) if not is_ready(call.study_id, call.slice_index)]
    for k, call in enumerate(calls):
        if k not in missing:
            _picture(places[k], comparison, call)
    _make_missing(comparison, calls, places, missing)


def _make_missing(
    comparison: ComparisonTable, calls: list[WrongCall], places: list[DeltaGenerator],
    missing: list[int],
) -> None:  # fmt: skip
    if not missing:
        return
    note = st.empty()
    start = time.monotonic()
    for done, k in enumerate(missing):
        rest = ""
        if done:
            each = (time.monotonic() - start) / done
            rest = f" – {time_left(each * (len(missing) - done))}"
        note.caption(f"Preparing pictures: {done} of {len(missing)}{rest}")
        _picture(places[k], comparison, calls[k])
    note.empty()


def _picture(place: DeltaGenerator, comparison: ComparisonTable, call: WrongCall) -> None:
    reasons: list[str] = []
    path = try_picture(call.study_id, call.slice_index, comparison.truth.root, reasons.append)
    if path is None:
        place.html(f'<div class="lab-no-picture" title="{escape(reasons[0])}">no picture</div>')
        return
    where = "" if call.slice_index is None else f", slice {call.slice_index}"
    encoded = base64.b64encode(path.read_bytes()).decode()
    alt = f"Study …{call.study_id[-8:]}{where}, bone window"
    place.markdown(
        f'<a href="{diagnosis_link(call)}" target="_blank"><img class="lab-picture" '
        f'src="data:image/png;base64,{encoded}" alt="{escape(alt)}"></a>',
        unsafe_allow_html=True,
    )


def _link(comparison: ComparisonTable, call: WrongCall) -> None:
    if not can_show(call.study_id, comparison.truth.root):
        st.caption("not on disk here")
        return
    draw(
        f'<a class="lab-open" href="{diagnosis_link(call)}" target="_blank">Open in Diagnosis ↗</a>'
    )


def diagnosis_link(call: WrongCall) -> str:
    """Link to Diagnosis at a study, slice and vertebra."""
    query: dict[str, str] = {"study": call.study_id}
    if call.slice_index is not None:
        query["slice"] = str(call.slice_index)
    if call.vertebra is not None:
        query["vertebra"] = VERTEBRAE[call.vertebra]
    return page_url("diagnosis", **query)


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
        f'<span class="lab-number">score {call.score:.3f}, threshold {call.threshold:.3f}, '
        f"off by {call.margin:.3f}</span></div>"
    )


def _heading(
    comparison: ComparisonTable, name: str, total: int, thresholds: tuple[float, ...]
) -> str:
    at = f"threshold {thresholds[0]:.3f}" if len(thresholds) == 1 else "its seven thresholds"
    order = "the most confident error first"
    return (
        f'<div class="lab-panel-title">{model_tag(name, comparison.styles[name])}'
        f"<span>{total:,} at {at}, {order}. A picture shows the slice to look at first: for a miss "
        "the middle of the fractured vertebra, for a false alarm the slice of the highest "
        "score.</span></div>"
    )

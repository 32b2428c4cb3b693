"""Threshold rule, threshold sliders, and everything that follows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import streamlit as st

from core.evaluation.thresholds import RULE_MEANINGS
from dashboard.evaluation.board.component import threshold_board
from dashboard.evaluation.comparison import ComparisonTable, has_other_data, with_points_as_set
from dashboard.evaluation.live_overlays import Slots, fill, fill_vertebrae
from dashboard.evaluation.provenance import provenance
from dashboard.evaluation.state import (
    THRESHOLDS_PART,
    bound,
    evaluation_view,
    keep_evaluation_view,
    redraw_followers,
)
from dashboard.evaluation.tables import what_if_html
from dashboard.evaluation.threshold_counts import RULE_OF, live_figures, pooled_figures
from dashboard.evaluation.view import RULES, EvaluationView, RuleName, Thresholds
from dashboard.session import state
from dashboard.session.wording import literal
from dashboard.widgets.frame import draw

RULE_NAMES: Final[dict[RuleName, str]] = {
    "f1": "Highest F1",
    "youden": "Youden",
    "sensitivity": "Sensitivity ≥",
    "specificity": "Specificity ≥",
    "cost": "Cost FN : FP",
    "limits": "Within limits",
    "bundle": "As set",
}
_AS_SET: Final = "the operating point that each model is used with on Diagnosis"


def rule_bar(comparison: ComparisonTable) -> None:
    """Let the user choose the rule that sets every model's thresholds."""
    view = evaluation_view()
    with st.container(horizontal=True, vertical_alignment="bottom", key="ev_rules"):
        bound(
            st.segmented_control, "rule", view.rule, "Threshold rule", RULES, required=True,
            format_func=RULE_NAMES.get, on_change=_rule_changed,
            help=_AS_SET if view.rule == "bundle" else RULE_MEANINGS[RULE_OF[view.rule]],
        )  # fmt: skip
        if view.rule in ("sensitivity", "specificity", "cost"):
            _target(view)
        if view.rule == "limits":
            _limits(view)
        if comparison.question.knows_vertebrae:
            bound(
                st.toggle, "by_vertebra", view.by_vertebra, "Per vertebra",
                help="One threshold for each of C1–C7.",
            )  # fmt: skip
        if has_other_data(comparison) and view.rule != "bundle":
            bound(
                st.toggle, "same_data", view.same_data, "On the studies shown",
                help="Where the rule chooses. Off: on the out-of-fold predictions of the training "
                "cohort. On: on the evaluated studies, which makes every figure look better.",
            )  # fmt: skip
    st.caption(literal(provenance(comparison)))


@st.fragment(key=THRESHOLDS_PART)
def threshold_panel(comparison: ComparisonTable, slots: Slots) -> None:
    """Draw the sliders and everything that follows them; a move redraws only this part."""
    view = evaluation_view()
    comparison = with_points_as_set(comparison, view)
    focus = comparison.focus(view)
    _sliders(comparison, view, focus)
    asked = {n: (comparison.at_level(n), comparison.thresholds(view, n)) for n in comparison.names}
    pooled = {name: pooled_figures(*own) for name, own in asked.items()}
    draw(what_if_html(comparison.question, pooled, comparison.styles, focus))
    fill(comparison, view, pooled, slots)
    # The seven curves of every model take longest, so they come last.
    figures = {name: live_figures(*own) for name, own in asked.items()}
    fill_vertebrae(comparison, focus, figures, slots)


def active_model(comparison: ComparisonTable) -> None:
    """Let the user choose the active model of sliders, table of C1–C7 and gallery."""
    view = evaluation_view()
    ids = {model.source_id: name for name, model in comparison.models.items()}
    if len(ids) < 2:
        return
    bound(
        st.selectbox, "focus", comparison.models[comparison.focus(view)].source_id,
        "Active model", list(ids), format_func=ids.get, keep_moved=True,
        help="The model whose threshold the sliders move.",
    )  # fmt: skip


def _sliders(comparison: ComparisonTable, view: EvaluationView, focus: str) -> None:
    source_id = comparison.models[focus].source_id
    known = {model.source_id for model in comparison.models.values()}

    def released(moved_id: str, values: Thresholds) -> None:
        if moved_id in known:
            keep_evaluation_view(evaluation_view().with_moved(moved_id, values))
            redraw_followers()

    with st.container(key="ev_sliders"):
        threshold_board(
            comparison.at_level(focus), source_id, comparison.thresholds(view, focus),
            prevalence=view.prevalence, on_release=released,
        )  # fmt: skip
    st.button(
        "Back to the rule", key="ev_back", on_click=_back, args=(source_id,), type="tertiary",
        disabled=view.moved_of(source_id) is None, icon=":material/undo:",
    )  # fmt: skip


def _target(view: EvaluationView) -> None:
    label, highest, step, digits = (
        ("Cost of a miss in false alarms", 1000.0, 1.0, "%.1f")
        if view.rule == "cost"
        else ("Target", 1.0, 0.01, "%.2f")
    )
    bound(
        st.number_input, "target", float(view.target), label, 0.01, highest, step=step,
        format=digits, convert=float, width=190,
    )  # fmt: skip


def _limits(view: EvaluationView) -> None:
    for field, label, value, highest, step in (
        ("least_recall", "Sensitivity ≥", view.least_recall, 1.0, 0.01),
        ("least_precision", "Precision ≥", view.least_precision, 1.0, 0.01),
        ("most_alarms", "Alarms per 100 studies ≤", view.most_alarms, None, 1.0),
    ):
        bound(
            st.number_input, field, value, label, 0.0 if highest else 0.01, highest, step=step,
            format="%.2f", width=190, placeholder="any",
        )  # fmt: skip


def _rule_changed() -> None:
    rule: RuleName = state.recall("ev_rule")
    target = 10.0 if rule == "cost" else 0.95
    keep_evaluation_view(replace(evaluation_view(), rule=rule, target=target, moved=()))


def _back(source_id: str) -> None:
    view = evaluation_view()
    moved = tuple(pair for pair in view.moved if pair[0] != source_id)
    keep_evaluation_view(replace(view, moved=moved))
    redraw_followers()

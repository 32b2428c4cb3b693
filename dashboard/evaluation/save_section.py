"""Saving an operating point for a network, and undoing it."""

from __future__ import annotations

import streamlit as st

from core.models.bundles import BundleInfo
from core.models.saved_points import PastPoint, PointLevel
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.evaluation.curve_charts import title
from dashboard.evaluation.operating_points import past_points, point_to_save, save_point, undo_point
from dashboard.evaluation.state import evaluation_view
from dashboard.evaluation.view import Thresholds
from dashboard.session.access import may_change
from dashboard.session.wording import literal
from dashboard.widgets.notices import show_success, succeeds


@st.fragment
def save_section(comparison: ComparisonTable) -> None:
    """Let the user save the active model's thresholds; nothing if read-only."""
    if not may_change():
        return
    view = evaluation_view()
    name = comparison.focus(view)
    bundle = comparison.models[name].bundle
    title(
        "Save this operating point",
        "Diagnosis, 3D and the reports of this installation use it instead of the shipped one, "
        "which stays as it is.",
    )
    if bundle is None:
        st.caption(literal(f"{name} is not a bundle, so nothing can be saved to it."))
        return
    thresholds = comparison.thresholds(view, name)
    level = _level(comparison, len(thresholds))
    note = st.empty()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button(
            literal(f"Save for {name}, {level} level"), type="primary", icon=":material/save:",
            key="ev_save",
        ):  # fmt: skip
            with note:
                # Read again: the sliders are in another fragment and may have moved since.
                now = comparison.thresholds(evaluation_view(), name)
                save_thresholds(comparison, name, bundle, now)
        history = past_points(bundle, level)
        if st.button(
            "Undo", icon=":material/undo:", key="ev_undo", disabled=not history,
            help="Restores the previous operating point.",
        ):  # fmt: skip
            with note:
                _undo(name, bundle, level)
            history = past_points(bundle, level)
    if history:
        with st.expander(f"History · {len(history)}"):
            st.dataframe(
                [_past_row(past) for past in history], hide_index=True,
                column_config={
                    "replaced": st.column_config.DatetimeColumn("replaced (UTC)"),
                    "threshold": st.column_config.NumberColumn(format="%.3f"),
                },
            )  # fmt: skip


def _level(comparison: ComparisonTable, n_thresholds: int) -> PointLevel:
    """Level to save; seven thresholds at patient level are those of the vertebrae."""
    level = comparison.question.level
    return "vertebra" if level == "patient" and n_thresholds > 1 else level


def save_thresholds(
    comparison: ComparisonTable, name: str, bundle: BundleInfo, thresholds: Thresholds
) -> None:
    """Make thresholds of a model its operating point at the level shown, and say so."""
    level = _level(comparison, len(thresholds))
    point = point_to_save(
        thresholds, comparison.chosen.get(name), comparison.truth.label,
        comparison.evaluated.data.truth.n_studies,
    )  # fmt: skip
    if succeeds(lambda: save_point(bundle, level, point)):
        show_success(f"{name} now calls at {point.threshold:.3f} ({point.rule}, {point.data}).")


def _undo(name: str, bundle: BundleInfo, level: PointLevel) -> None:
    def undo() -> None:
        past = undo_point(bundle, level)
        entry = past.entry
        before = "the shipped threshold" if entry is None else f"{entry.get('threshold', 0):.3f}"
        show_success(f"{name} is back at {before}.", icon=":material/undo:")

    succeeds(undo)


def _past_row(past: PastPoint) -> dict[str, object]:
    entry = past.entry or {}
    return {
        "threshold": entry.get("threshold"),
        "rule": entry.get("rule", "shipped" if past.entry is None else "none"),
        "data": entry.get("data", ""),
        "by": entry.get("by", ""),
        "replaced": past.replaced,
    }

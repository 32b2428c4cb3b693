"""Summary of the data set, and the active filters."""

from __future__ import annotations

import streamlit as st

from core.dataset.statistics import DataSetStatistics
from core.dataset.study_table import StudyFilter
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.dataset.query import filter_labels
from dashboard.session import state
from dashboard.widgets.frame import figures_list, synthetic_badge


def dataset_facts(
    shown: DataSetStatistics, everything: DataSetStatistics, data: IndexedSet
) -> None:
    """Show figures of the studies that pass the filter, and of all."""
    of_all = f" of {everything.studies:,}" if shown.studies != everything.studies else ""
    share = f"{100 * shown.fractured / shown.labelled:.0f} %" if shown.labelled else "–"
    size = shown.bytes / 2**30
    figures = {
        f"studies{of_all}": f"{shown.studies:,}",
        "slices": f"{shown.slices:,}",
        "of files": f"{size:.1f} GiB" if size >= 1 else f"{shown.bytes / 2**20:,.0f} MiB",
        f"fractured, of {shown.labelled:,} labelled": share,
        f"boxes in {shown.boxed:,} studies": f"{shown.boxes:,}",
        "with a vertebra mask": f"{shown.masked:,}",
        "with a quality flag": f"{shown.flagged:,}",
    }
    figures_list(figures, "lab-figures-small")
    if data.table.synthetic:
        st.html(synthetic_badge())
    if data.problems:
        with st.expander(f"Wrong rows in the tables ({len(data.problems)})"):
            for problem in data.problems[:50]:
                st.text(problem)
            if len(data.problems) > 50:
                st.caption(f"and {len(data.problems) - 50:,} more.")


def filter_chips(data_set: str, wanted: StudyFilter) -> None:
    """Show the active filters as chips; a click removes one."""
    labels = filter_labels(wanted)
    with st.container(horizontal=True, key="filter_chips", vertical_alignment="center"):
        if not labels:
            st.caption(
                ":material/touch_app: Click a bar or a square below to see only those studies."
            )
            return
        for part, label in labels.items():
            st.button(
                label, icon=":material/close:", key=f"chip_{part}", help="Remove this filter.",
                on_click=state.filter_studies, args=(data_set, wanted.without(part)),
            )  # fmt: skip
        if len(labels) > 1:
            st.button(
                "Remove all", type="tertiary", key="chip_all", on_click=state.filter_studies,
                args=(data_set, StudyFilter()),
            )  # fmt: skip

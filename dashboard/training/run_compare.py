"""Comparison of runs: their curves in one chart, and the settings in which they differ."""

from __future__ import annotations

import streamlit as st

from dashboard.training import run_processes
from dashboard.training.curve_section import show_curves
from dashboard.training.curves import RUN_COLORS
from dashboard.training.paired_section import paired_section
from dashboard.training.run_form import differences, labels_of
from dashboard.training.run_progress import curves_of, in_order, standings
from dashboard.widgets.frame import blank, panel_title


def compare_section() -> None:
    """Let the user choose runs and compare them."""
    runs = {run.run_id: run for run in in_order(run_processes.all_runs())}
    if len(runs) < 2:
        blank(
            "A comparison needs two runs. Start another under “New run”, or duplicate one under "
            "“Runs” and change a setting."
        )
        return
    labels = labels_of(list(runs.values()))
    names = st.multiselect(
        "Runs",
        list(runs),
        default=[name for name, run in runs.items() if curves_of(run)][:2],
        format_func=lambda run_id: labels[run_id],
        max_selections=len(RUN_COLORS),
        key="compared_runs",
        persist_state="session",
    )
    chosen = [runs[name] for name in names if name in runs]
    if not chosen:
        blank("Choose at least one run above.")
        return
    curves = {labels[run.run_id]: events for run in chosen for events in curves_of(run).values()}
    if curves:
        show_curves(curves, "compared_curves")
    panel_title("Results", "only runs with the same held-out patients have comparable AUCs")
    st.dataframe(standings(chosen), hide_index=True)
    paired_section(chosen)
    panel_title("Differing settings", "settings that are equal in all runs are left out")
    table = differences(chosen)
    if table.empty:
        blank("The configs of these runs are the same.")
    else:
        st.dataframe(table)

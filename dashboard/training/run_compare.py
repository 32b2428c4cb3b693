"""Comparison of runs: their curves in one chart, and the settings in which they differ."""

from __future__ import annotations

import streamlit as st

from dashboard.training import run_processes
from dashboard.training.curves import RUN_COLORS, curves_figure
from dashboard.training.run_form import differences
from dashboard.training.run_progress import curves_of, in_order, standings
from dashboard.training.run_table import CURVES_AID


def compare_section() -> None:
    """Let the user choose runs and compare them."""
    runs = {run.run_id: run for run in in_order(run_processes.all_runs())}
    if len(runs) < 2:
        st.html(
            '<div class="lab-blank">A comparison needs two runs. Start another under '
            "“New run”, or duplicate one under “Runs” and change a setting.</div>"
        )
        return
    names = st.multiselect(
        "Runs",
        list(runs),
        default=[name for name, run in runs.items() if curves_of(run)][:2],
        max_selections=len(RUN_COLORS),
        key="compared_runs",
        persist_state="session",
    )
    chosen = [runs[name] for name in names if name in runs]
    if not chosen:
        st.html('<div class="lab-blank">Choose at least one run above.</div>')
        return
    curves = {name: events for run in chosen for name, events in curves_of(run).items()}
    if curves:
        st.plotly_chart(
            curves_figure(curves),
            config={"displayModeBar": False},
            key="compared_curves",
            alt="Loss, held-out AUC, learning rate and throughput of several runs",
        )
        st.caption(CURVES_AID)
    st.html(
        '<div class="lab-panel-title">Results'
        "<span>only runs with the same held-out patients have comparable AUCs</span></div>"
    )
    st.dataframe(standings(chosen), hide_index=True)
    st.html(
        '<div class="lab-panel-title">Differing settings'
        "<span>settings that are equal in all runs are left out</span></div>"
    )
    table = differences(chosen)
    if table.empty:
        st.html('<div class="lab-blank">The configs of these runs are the same.</div>')
    else:
        st.dataframe(table)

"""The best trial of a sweep: a run, a config file, and values for a new run."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.config import RunConfig, load_run_config
from core.errors import CSpineError
from core.experiments.sweep_results import SweepResult, TrialRow
from core.training.run_files import RunFiles
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.settings import settings
from dashboard.training import sweep_processes
from dashboard.training.run_form import form_values, label_of, value_text
from dashboard.widgets.frame import figures_list, panel_title
from dashboard.widgets.notices import show_error, succeeds


def show_best(result: SweepResult) -> None:
    """Show the best trial and what can be done with it; nothing before one has finished."""
    best = result.best
    if best is None:
        return
    try:
        config = load_run_config(best.run / "config.yaml")
    except CSpineError:
        show_error(f"The run of trial {best.number} was deleted; its values are in the table.")
        return
    values = {label_of(key): value_text(value) for key, value in best.values.items()}
    panel_title(f"The best trial: {best.number}", "a run with its own weights, like any other")
    figures_list(
        {escape(name): escape(value) for name, value in values.items()}, "lab-figures-small"
    )
    with st.container(horizontal=True, key="sweep_best"):
        if st.button("Open its run", icon=":material/show_chart:", type="primary"):
            _open(best)
        st.download_button(
            "Config file", (best.run / "config.yaml").read_bytes(),
            file_name=f"{best.run.parent.name}-{best.run.name}.yaml", mime="application/yaml",
            icon=":material/download:", on_click="ignore",
            help="For `python -m core train`.",
        )  # fmt: skip
        if may_change() and st.button(
            "Keep as a run", icon=":material/inventory_2:",
            help="Copies it out of the sweep: it can be evaluated, and stays when the sweep is "
            "deleted.",
        ):  # fmt: skip
            name = run_name(best)
            if succeeds(lambda: sweep_processes.keep_trial(best, name)):
                state.leave_message(f"“{name}” was kept as a run.")
                st.rerun(scope="app")
        if may_change() and st.button(
            "New run with these values", icon=":material/content_copy:",
            help="Fills the form, to train on all folds or for longer.",
        ):  # fmt: skip
            _fill(config)
    bundle = best.run / "bundle"
    if bundle.is_dir():
        shown = bundle.relative_to(settings().cspine_var) if _is_ours(best) else bundle
        st.caption(f"Its network is the bundle `{shown}`; “Use in Diagnosis” is with its run.")


def run_name(trial: TrialRow) -> str:
    """Name of a trial's run for display."""
    return RunFiles(trial.run).read_name() or f"{trial.run.parent.name} · trial {trial.number}"


def _is_ours(trial: TrialRow) -> bool:
    return trial.run.is_relative_to(settings().cspine_var)


def _open(trial: TrialRow) -> None:
    state.show_section("Runs")
    state.choose_run(f"{trial.run.parent.name}/{trial.run.name}")
    st.rerun(scope="app")


def _fill(config: RunConfig) -> None:
    state.fill_form(form_values(config), overwrite=True)
    state.show_section("New run")
    st.rerun(scope="app")

"""The plan of a run before it starts: time, memory, disk, a try of one batch, and the start."""

from __future__ import annotations

import shutil

import streamlit as st

from core.config import RunConfig
from core.errors import ConfigError, CSpineError
from core.training.run_files import LONGEST_NAME
from core.training.run_needs import RunNeeds, run_needs
from core.training.schedule import Estimate, one_cycle
from dashboard.session import state
from dashboard.session.access import may_change, read_only_reason
from dashboard.session.settings import settings
from dashboard.session.wording import duration, file_size
from dashboard.training import run_processes
from dashboard.training.curves import schedule_figure
from dashboard.training.form_choices import data_size
from dashboard.training.form_state import asked_config, expected
from dashboard.training.run_form import usual_name
from dashboard.widgets.frame import figures_list, panel_title
from dashboard.widgets.notices import show_error, show_success, show_warning, succeeds
from dashboard.widgets.plot_area import show_chart


def show_plan() -> None:
    """Draw steps, time and schedule of the run, and the button that starts it."""
    panel_title("The plan", "before anything is computed")
    try:
        config = asked_config()
        estimate = expected(config)
        size = data_size(config.data_root)
    except CSpineError as error:
        show_error(error, icon=":material/edit_note:")
        return
    _figures(config, estimate, run_needs(config, size.slices, size.studies))
    if may_change():
        _checks(config, estimate)
    if estimate.steps:
        show_chart(
            schedule_figure(one_cycle(config.learning_rate, estimate.steps, config.pct_start)),
            "schedule",
            "Learning rate against the step",
        )
        st.caption("One-cycle learning rate: up, then down to almost zero.")
    if reason := read_only_reason():
        st.info(f"{reason}: runs can be looked at, not started.")
        return
    usual = usual_name(config, [run.name for run in run_processes.all_runs()])
    typed = st.text_input(
        "Name of the run", placeholder=usual, max_chars=LONGEST_NAME, key="run_name",
        persist_state="session",
    )  # fmt: skip
    if st.button("Start training", type="primary", icon=":material/play_arrow:"):
        _start(config, " ".join(typed.split()) or usual)


def _figures(config: RunConfig, estimate: Estimate, needs: RunNeeds) -> None:
    folds = f" × {config.folds} folds" if config.fold == "all" else ""
    figures = {f"steps{folds}": f"{estimate.steps:,}", "time": _about(estimate.total_seconds)}
    if (estimate.measuring_seconds or 0) >= 1:
        figures["of it measuring"] = _about(estimate.measuring_seconds)
    if estimate.loader_share is not None:
        figures["waiting for data"] = f"{estimate.loader_share:.0%}"
    figures["memory of the network"] = file_size(needs.memory_bytes)
    figures["disk"] = file_size(needs.disk_bytes)
    figures_list(figures, "lab-figures-small")
    st.html(
        f'<p class="lab-muted">Time {estimate.basis}. Studies that were never read before take '
        f"longer once: their slices are prepared first ({file_size(needs.prepared_bytes)} of the "
        "disk).</p>"
    )
    _check_disk(needs)


def _about(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"about {duration(seconds)}"


def _check_disk(needs: RunNeeds) -> None:
    current = settings()
    try:
        free = shutil.disk_usage(current.cspine_var).free - current.keep_free_bytes
    except OSError:
        return
    if needs.disk_bytes > free:
        show_warning(
            f"The disk has {file_size(max(free, 0))} to spare, and the run takes about "
            f"{file_size(needs.disk_bytes)}; free some space first."
        )


def _checks(config: RunConfig, estimate: Estimate) -> None:
    """Offer to try one batch, and to measure the time instead of estimating it."""
    with st.container(horizontal=True, key="plan_checks"):
        tries = st.button(
            "Try one batch", icon=":material/science:",
            help="Reads a few studies, trains and measures one batch, and reports the first "
            "error; nothing is kept.",
        )  # fmt: skip
        measures = not estimate.is_measured and st.button(
            "Measure the pace here", icon=":material/speed:"
        )
    if tries:
        with st.spinner("Training one batch of a few studies, usually 10 to 30 s"):
            works = succeeds(lambda: run_processes.try_batch(config))
        if works:
            show_success("One batch was read, trained and measured without an error.")
    if measures:
        with st.spinner("Training on three batches of random slices, usually 10 to 60 s"):
            measured = succeeds(lambda: run_processes.measure_pace(config))
        if measured:
            st.rerun(scope="fragment")


def _start(config: RunConfig, name: str) -> None:
    try:
        _check_bundle(config)
        folder = run_processes.start_run(config, name)
    except CSpineError as error:
        show_error(error)
        return
    state.leave_message(f"Run “{name}” has started.")
    state.show_section("Runs")
    state.choose_run(folder.name)
    st.rerun(scope="app")


def _check_bundle(config: RunConfig) -> None:
    bundle = config.vertebra_bundle
    if bundle is not None and not (bundle / "config.json").is_file():
        raise ConfigError(f"{bundle} is not a bundle; choose the folder of a vertebra bundle.")

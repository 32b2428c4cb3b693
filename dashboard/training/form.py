"""Form of a new training run, with its schedule and estimated time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.config import PROJECT_ROOT, RunConfig, SlicePreparation
from core.errors import ConfigError, CSpineError
from core.training.paces import read_paces
from core.training.run_files import LONGEST_NAME
from core.training.schedule import Estimate, estimate_run, one_cycle
from dashboard.session import state
from dashboard.session.access import may_change, read_only_reason
from dashboard.session.settings import settings
from dashboard.session.wording import duration
from dashboard.training import run_processes
from dashboard.training.curves import schedule_figure
from dashboard.training.form_choices import data_roots, data_size, vertebra_bundles
from dashboard.training.form_fields import FIELDS, START_SIZE, FormField
from dashboard.training.run_form import (
    config_from,
    fold_choices,
    form_values,
    known_paces,
    usual_name,
)
from dashboard.widgets.frame import figures_list, panel_title
from dashboard.widgets.notices import show_error, succeeds
from dashboard.widgets.plot_area import show_chart

ALWAYS_OPEN = ("What to train", "Data")


@st.fragment
def training_form() -> None:
    """Draw the form and the plan of a run, and start it."""
    preparation = SlicePreparation(size=START_SIZE)
    defaults = RunConfig(task="fracture", data_root=settings().data_root, preparation=preparation)
    state.fill_form(form_values(defaults))
    with st.container(key="training_form"):
        asked, planned = st.columns([3, 2], gap="large")
    with asked, st.container(key="training_fields"):
        for group, fields in FIELDS.items():
            with st.expander(group, expanded=group in ALWAYS_OPEN):
                _fields(fields)
    with planned, st.container(key="plan"):
        _plan()


def _fields(fields: tuple[FormField, ...]) -> None:
    for start in range(0, len(fields), 3):
        for column, field in zip(st.columns(3), fields[start : start + 3], strict=False):
            with column:
                _widget(field)
                st.caption(field.explanation)


def _widget(field: FormField) -> None:
    common: dict[str, Any] = {
        "label": field.label, "key": state.form_key(field.key), "persist_state": "session",
    }  # fmt: skip
    if field.kind in ("choice", "data_root", "bundle"):
        st.selectbox(
            options=_options(field), format_func=_choice_name,
            accept_new_options=field.kind != "choice", **common,
        )  # fmt: skip
    elif field.kind == "switch":
        st.toggle(**common)
    elif field.kind == "whole":
        low, high = (None if bound is None else int(bound) for bound in (field.low, field.high))
        st.number_input(
            step=1, min_value=low, max_value=high, placeholder=field.empty, **common
        )  # fmt: skip
    elif field.kind == "number":
        form = "%.1e" if field.step < 1e-3 else "%.4g"
        st.number_input(
            step=field.step, min_value=field.low, max_value=field.high, format=form,
            placeholder=field.empty, **common,
        )  # fmt: skip
    else:
        st.text_input(**common)


def _options(field: FormField) -> tuple[Any, ...]:
    value = state.form_value(field.key)
    if field.kind == "choice" and field.key != "fold":
        return field.choices
    if field.key == "fold":
        options = fold_choices(max(int(state.form_value("folds")), 2))
        if value not in options:
            state.fill_form({"fold": options[0]}, overwrite=True)
        return options
    known = data_roots() if field.kind == "data_root" else ("", *vertebra_bundles())
    return known if value in known else (value, *known)


def _choice_name(value: object) -> str:
    """Name of a choice; a folder of this checkout by its relative path."""
    return "none" if value in ("", None) else str(value).removeprefix(f"{PROJECT_ROOT}/")


def _plan() -> None:
    """Draw steps, time and schedule of the run, and the button that starts it."""
    panel_title("The plan", "before anything is computed")
    try:
        config = config_from({f.key: state.form_value(f.key) for g in FIELDS.values() for f in g})
        run_processes.check_folders(config)
        size = data_size(config.data_root)
    except CSpineError as error:
        show_error(error, icon=":material/edit_note:")
        return
    paces = known_paces(run_processes.all_runs(), read_paces(settings().cspine_var))
    estimate = estimate_run(config, size.slices, size.studies, paces)
    _figures(config, estimate)
    if may_change() and not estimate.is_measured:
        _measure_button(config)
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


def _figures(config: RunConfig, estimate: Estimate) -> None:
    time = "unknown" if estimate.seconds is None else f"about {duration(estimate.seconds)}"
    folds = f" × {config.folds} folds" if config.fold == "all" else ""
    figures = {f"steps{folds}": f"{estimate.steps:,}", "training time": time}
    if estimate.loader_share is not None:
        figures["of it waiting for data"] = f"{estimate.loader_share:.0%}"
    figures_list(figures)
    st.html(
        f'<p class="lab-muted">Time {estimate.basis}. '
        "Plus the time of measuring on held-out slices.</p>"
    )


def _measure_button(config: RunConfig) -> None:
    """Offer to replace the estimate of the time by a measurement."""
    if not st.button("Measure the pace here", icon=":material/speed:"):
        return
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


def section_switch(sections: Sequence[str]) -> str:
    """Let the user choose a part of the page; a link to a run opens the runs.

    Args:
        sections: Names of the parts; the first is the default.
    """
    if state.run_is_linked():
        state.show_section("Runs")
    state.enter_section()
    state.start_with(state.TRAINING_SECTION_KEY, sections[0])
    chosen = st.segmented_control(
        "Part of the page",
        sections,
        required=True,
        key=state.TRAINING_SECTION_KEY,
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen or sections[0]

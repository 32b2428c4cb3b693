"""Form of a new sweep: which fields of the run's form vary, over which values, and how."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from core.config import RunConfig
from core.errors import CSpineError
from core.experiments.sweep_config import (
    METRICS,
    PRUNERS,
    SAMPLERS,
    Choice,
    SweepConfig,
    checked_sweep,
)
from core.training.run_files import LONGEST_NAME
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.wording import duration
from dashboard.training import sweep_processes
from dashboard.training.form_fields import FormField
from dashboard.training.form_layout import choices_of, fields_of
from dashboard.training.form_state import asked_config, expected, start_form
from dashboard.training.sweep_charts import METRIC_NAMES
from dashboard.widgets.frame import figures_list, panel_title
from dashboard.widgets.notices import show_error

_FIXED: Final = {"task", "fold", "folds", "device", "checkpoint_every_s", "loader_workers"}
"""Fields that say what is measured, or where; trials that differ in them cannot be compared."""
_LOG: Final = {"max_lr", "weight_decay", "alpha", "backbone_lr_share"}
_USUAL: Final = {
    "weight_decay": 1e-3, "field_mm": 90.0, "ema_decay": 0.49, "slices_per_study": 16.0,
}  # fmt: skip
"""Middle of the range of fields that are off in the form."""
_SAMPLER_NAMES: Final = {
    "tpe": "TPE",
    "gp": "Gaussian process",
    "random": "Random",
}
_PRUNER_NAMES: Final = {
    "median": "Median rule",
    "hyperband": "Hyperband",
    "none": "Never",
}


def sweep_form() -> None:
    """Ask for a sweep around the settings of “New run”, and start it."""
    if not may_change():
        return
    start_form()
    try:
        config = asked_config()
    except CSpineError as error:
        show_error(error, icon=":material/edit_note:")
        return
    asked, planned = st.columns([3, 2], gap="large")
    with asked, st.container(key="sweep_fields"):
        title = config.facts.title_of(config.type)
        panel_title("What varies", f"around {title}, {config.backbone}, as set under “New run”")
        space = _space(config)
    with planned, st.container(key="sweep_plan"):
        _plan(config, space)


def _space(config: RunConfig) -> dict[str, Any]:
    """Let the user choose fields and their values."""
    fields = {f.key: f for f in fields_of(config) if _can_vary(f)}
    chosen = st.multiselect(
        "Fields that vary", list(fields), default=["max_lr"], key="sweep_keys",
        format_func=lambda key: fields[key].label if key in fields else key,
        persist_state="session",
    )  # fmt: skip
    plain = config.model_dump(mode="json") | {"max_lr": config.learning_rate}
    # Choices that the task does not have would only make trials fail.
    return {
        key: _values(fields[key], plain[key], choices_of(key, plain) or fields[key].choices)
        for key in chosen
        if key in fields
    }


def _can_vary(field: FormField) -> bool:
    return field.key not in _FIXED and field.kind in ("choice", "switch", "whole", "number")


def _values(
    field: FormField, current: Choice, choices: tuple[Any, ...]
) -> list[Choice] | dict[str, Any]:
    if field.kind == "switch":
        st.caption(f"{field.label}: off and on.")
        return [False, True]
    if field.kind == "choice":
        return st.multiselect(
            field.label, choices, default=[current], key=f"sweep_{field.key}",
            persist_state="session",
        )  # fmt: skip
    return _range(field, current)


def _range(field: FormField, current: Choice) -> dict[str, Any]:
    is_whole = field.kind == "whole"
    usual = float(current or 0) or _USUAL.get(field.key, 1.0)
    in_log = field.key in _LOG
    factor = 10 if in_log else 2
    low = max(usual / factor, field.low or 0)
    high = usual * factor if field.high is None else min(usual * factor, field.high)
    kind, form = (int, "%d") if is_whole else (float, "%.3g")
    lowest, step = field.low, 1 if is_whole else field.step
    columns = st.columns([2, 2, 1.4], vertical_alignment="bottom")
    ends: list[int | float] = []
    for column, name, value in zip(columns, ("from", "to"), (low, high), strict=False):
        with column:
            ends.append(
                st.number_input(
                    f"{field.label}, {name}", value=kind(value), step=kind(step), format=form,
                    min_value=None if lowest is None else kind(lowest),
                    max_value=None if field.high is None else kind(field.high),
                    key=f"sweep_{field.key}_{name}", persist_state="session",
                )
            )  # fmt: skip
    with columns[2]:
        is_log = st.toggle(
            "Logarithmic", in_log, key=f"sweep_{field.key}_log",
            help="Each factor is as likely as any other, as befits rates.",
        )  # fmt: skip
    return {"low": ends[0], "high": ends[1], "log": is_log}


def _plan(config: RunConfig, space: dict[str, Any]) -> None:
    panel_title("The sweep", "trials share the data and the held-out fold")
    options = _options(config)
    try:
        base = config.model_dump(mode="json")
        sweep = checked_sweep({"base": base, "space": space, **options}, "The sweep")
        seconds = expected(config).total_seconds
    except CSpineError as error:
        show_error(error, icon=":material/edit_note:")
        return
    workers = st.slider(
        "Workers at the same time", 1, sweep_processes.MOST_WORKERS, 1, key="sweep_workers",
        persist_state="session",
        help="Processes, which share this machine's processor and graphics card.",
    )  # fmt: skip
    whole = None if seconds is None else seconds * sweep.trials
    figures_list(
        {
            "trials": f"{sweep.trials:,}",
            "one trial": "unknown" if seconds is None else f"about {duration(seconds)}",
            "at most, one after another": "unknown" if whole is None else duration(whole),
        },
        "lab-figures-small",
    )
    if st.button("Start the sweep", type="primary", icon=":material/travel_explore:"):
        _start(sweep, workers)


def _options(config: RunConfig) -> dict[str, Any]:
    """Let the user choose how the sweep goes on."""
    usual = f"{config.facts.title_of(config.type)} · {config.backbone}"
    name = st.text_input(
        "Name of the sweep", placeholder=usual, max_chars=LONGEST_NAME, key="sweep_name",
        persist_state="session",
    )  # fmt: skip
    left, right = st.columns(2)
    with left:
        metric = st.selectbox(
            "Compared by", METRICS[config.task], format_func=METRIC_NAMES.__getitem__,
            key="sweep_metric", help="Of the held-out fold, after the last epoch of a trial.",
        )  # fmt: skip
        sampler = st.selectbox(
            "Next values", SAMPLERS, format_func=_SAMPLER_NAMES.__getitem__, key="sweep_sampler",
            persist_state="session",
            help="TPE learns from the trials before; a Gaussian process needs fewer of them, and "
            "more time between them; random values do not learn.",
        )  # fmt: skip
    with right:
        trials = st.number_input(
            "Trials", 1, 10_000, 20, key="sweep_trials", persist_state="session"
        )
        pruner = st.selectbox(
            "End a trial early", PRUNERS, format_func=_PRUNER_NAMES.__getitem__,
            key="sweep_pruner", persist_state="session",
            help="The median rule ends a trial that is below the median of the others at the same "
            "epoch, Hyperband all but the best at each halving.",
        )  # fmt: skip
    return {
        "name": " ".join(name.split()) or usual, "metric": metric, "sampler": sampler,
        "trials": int(trials), "pruner": pruner, "seed": config.seed,
    }  # fmt: skip


def _start(sweep: SweepConfig, workers: int) -> None:
    try:
        folder = sweep_processes.start_sweep(sweep, workers)
    except CSpineError as error:
        show_error(error)
        return
    state.leave_message(f"Sweep “{sweep.name}” has started.")
    state.remember(state.SWEEP_KEY, folder.name)
    st.rerun(scope="app")

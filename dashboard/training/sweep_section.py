"""Sweeps on the page: a form for a new one, a list, and the chosen one, live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

import pandas as pd
import streamlit as st

from core.experiments.sweep_config import SweepConfig
from core.experiments.sweep_results import SweepResult, sweep_result
from dashboard.session import link, state
from dashboard.session.access import may_change
from dashboard.session.wording import duration, literal, number
from dashboard.training import sweep_processes
from dashboard.training.run_form import label_of, value_text
from dashboard.training.sweep_best import show_best
from dashboard.training.sweep_charts import (
    METRIC_NAMES,
    history_figure,
    importance_figure,
    parallel_figure,
    slice_figure,
)
from dashboard.training.sweep_form import sweep_form
from dashboard.training.sweep_processes import MOST_WORKERS, SweepSummary
from dashboard.widgets.frame import blank, figures_list, panel_title
from dashboard.widgets.job_status import poll
from dashboard.widgets.notices import show_error, succeeds
from dashboard.widgets.plot_area import show_chart

REFRESH_SECONDS: Final = 3.0
_TABLE: Final = "sweep_table"
_STOP: Final = "Workers save and interrupt their trials, whose values are tried again on resuming."


def sweeps_section() -> None:
    """Ask for a new sweep, list the sweeps, and show the chosen one.

    Raises:
        LinkError: The URL names a sweep that does not exist.
    """
    sweeps = sweep_processes.all_sweeps()
    if state.recall(state.SWEEP_KEY) is None:
        link.check_one_of(state.SWEEP_KEY, [one.sweep_id for one in sweeps], "this installation")
    if may_change():
        with st.expander("New sweep", expanded=not sweeps, icon=":material/travel_explore:"):
            sweep_form()
    if not sweeps:
        blank(
            "No sweep yet. It trains many short runs with different settings and finds out which "
            "of them matter; the settings that stay the same are those of “New run”."
        )
        return
    alive = any(one.is_alive for one in sweeps)
    poll(lambda: _live(alive), every=REFRESH_SECONDS if alive else None)


def _live(was_alive: bool) -> bool:
    sweeps = sweep_processes.all_sweeps()
    if any(one.is_alive for one in sweeps) != was_alive or not sweeps:
        return False
    results = {
        one.sweep_id: sweep_result(one.sweep, one.folder) for one in sweeps if one.sweep is not None
    }
    _table(sweeps, results)
    chosen = state.chosen_of(state.SWEEP_KEY, [one.sweep_id for one in sweeps])
    link.show(state.SWEEP_KEY, chosen)
    summary = next(one for one in sweeps if one.sweep_id == chosen)
    _detail(summary, results.get(summary.sweep_id))
    return True


def _table(
    sweeps: Sequence[SweepSummary], results: dict[str, SweepResult]
) -> None:  # fmt: skip
    def choose() -> None:
        row = state.clicked_row(_TABLE)
        if row is not None and row < len(sweeps):
            state.remember(state.SWEEP_KEY, sweeps[row].sweep_id)

    known = [results.get(one.sweep_id) for one in sweeps]
    best = [result.best if result else None for result in known]
    table = pd.DataFrame(
        {
            "Sweep": [one.name for one in sweeps],
            "State": [_state_of(one, result) for one, result in zip(sweeps, known, strict=True)],
            "Trials": ["–" if r is None else f"{r.ended} of {r.sweep.trials}" for r in known],
            "Best": [number(trial.value if trial else None) for trial in best],
            "Id": [one.sweep_id for one in sweeps],
        }
    )
    st.dataframe(
        table, key=_TABLE, on_select=choose, selection_mode=state.ROW_CLICKS, hide_index=True,
        height=min(38 + 35 * len(sweeps), 215),
    )  # fmt: skip


def _state_of(summary: SweepSummary, result: SweepResult | None) -> str:
    if summary.is_alive:
        return "searching"
    if result is None:
        return "unreadable"
    return "finished" if result.is_complete else "stopped – resume"


def _detail(summary: SweepSummary, result: SweepResult | None) -> None:
    with st.container(key="sweep_detail"):
        head, buttons = st.columns([3, 2], vertical_alignment="center")
        with head:
            pill = "lab-pill-live" if summary.is_alive else "lab-pill-quiet"
            words = _state_of(summary, result)
            panel_title(
                f'{escape(summary.name)} <b class="lab-pill {pill}">{words}</b>',
                escape(summary.sweep_id),
            )
        with buttons:
            _actions(summary, result)
        if summary.problem:
            show_error(summary.problem)
        if result is not None:
            _progress(summary, result)
            _charts(result)
            show_best(result)
            _trials(result)


def _actions(summary: SweepSummary, result: SweepResult | None) -> None:
    if not may_change():
        st.caption("Read-only: sweeps can be viewed, not changed.")
        return
    with st.container(horizontal=True, horizontal_alignment="right", key="sweep_actions"):
        if summary.is_alive and st.button("Stop", icon=":material/stop_circle:", help=_STOP):
            _act(
                lambda: sweep_processes.stop_sweep(summary),
                f"Sweep “{summary.name}” was asked to stop.",
            )
        if result is not None and summary.workers < MOST_WORKERS:
            _resume(summary, result)
        if not summary.is_alive:
            with st.popover("Delete", icon=":material/delete:"):
                name = literal(summary.name)
                st.write(f"Delete **{name}** with the runs of all its trials? This is final.")
                if st.button("Delete for good", type="primary", key="delete_sweep"):
                    state.remember(state.SWEEP_KEY, None)
                    link.show(state.SWEEP_KEY, None)
                    _act(
                        lambda: sweep_processes.delete_sweep(summary),
                        f"Sweep “{summary.name}” was deleted.",
                    )


def _resume(summary: SweepSummary, result: SweepResult) -> None:
    """Continue with one click; more trials or workers are asked for in a popover."""
    open_ended = not summary.is_alive and not result.is_complete
    if open_ended and st.button("Resume", icon=":material/play_arrow:", type="primary"):
        _act(
            lambda: sweep_processes.resume_sweep(summary, result.sweep.trials, 1),
            f"Sweep “{summary.name}” goes on.",
        )
    with st.popover("Extend", icon=":material/add:"):
        ended = result.ended if result.is_complete else result.sweep.trials
        usual = ended + 10 if result.is_complete else ended
        trials = st.number_input("Trials in all", max(ended, 1), 10_000, usual, key="more_trials")
        workers = st.number_input(
            "Workers to start", 1, MOST_WORKERS - summary.workers, 1, key="more_workers"
        )
        if st.button("Go on", type="primary", key="extend_sweep"):
            _act(
                lambda: sweep_processes.resume_sweep(summary, int(trials), int(workers)),
                f"Sweep “{summary.name}” goes on.",
            )


def _progress(summary: SweepSummary, result: SweepResult) -> None:
    total, ended = result.sweep.trials, result.ended
    running = result.count("running") if summary.is_alive else 0
    workers = "1 worker" if summary.workers == 1 else f"{summary.workers} workers"
    text = f"{ended} of {total} trials" + (f", {running} running, {workers}" if running else "")
    st.progress(min(ended / total, 1.0), text=text)
    taken = [t.seconds for t in result.trials if t.outcome == "finished" and t.seconds is not None]
    figures_list(
        {
            f"best {METRIC_NAMES[result.sweep.metric]}": number(
                result.best.value if result.best else None, ".4f"
            ),
            "finished": f"{result.count('finished'):,}",
            "ended early": f"{result.count('pruned'):,}",
            "failed": f"{result.count('failed'):,}",
            "mean time of a trial": duration(sum(taken) / len(taken)) if taken else "–",
        },
        "lab-figures-small",
    )


def _charts(result: SweepResult) -> None:
    if not result.history():
        blank("No trial has finished yet; the charts begin with the first.")
        return
    left, right = st.columns(2)
    with left:
        panel_title("History", "each finished trial, and the best so far")
        show_chart(history_figure(result), "sweep_history", "Metric of each trial")
    with right:
        panel_title("What matters", "functional ANOVA over the finished trials")
        if result.importances:
            alt = "Share of the variance by setting"
            show_chart(importance_figure(result), "sweep_importances", alt)
        else:
            blank("Two finished trials with different results are needed.")
    panel_title("Settings and result", "each line is a trial; the bold one is the best")
    show_chart(parallel_figure(result), "sweep_parallel", "Settings and metric of each trial")
    panel_title("One setting at a time", "the others vary as well")
    show_chart(slice_figure(result), "sweep_slices", "Metric against each setting")


def _trials(result: SweepResult) -> None:
    with st.expander("All trials", icon=":material/table_rows:"):
        st.dataframe(trial_rows(result), hide_index=True)


def trial_rows(result: SweepResult) -> pd.DataFrame:
    """One row per trial, as text."""
    sweep: SweepConfig = result.sweep
    rows = [
        {
            "Trial": trial.number,
            "Outcome": {"pruned": "ended early"}.get(trial.outcome, trial.outcome),
            METRIC_NAMES[sweep.metric]: number(trial.value, ".4f"),
            "Epochs": len(trial.measured),
            **{label_of(key): value_text(trial.values.get(key)) for key in sweep.space},
            "Problem": trial.problem,
        }
        for trial in result.trials
    ]
    return pd.DataFrame(rows)


def _act(action: Callable[[], object], message: str) -> None:
    if succeeds(action):
        state.leave_message(message)
        st.rerun(scope="app")

"""The list of runs, and everything about the one that is chosen, live while it trains."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Final

import pandas as pd
import streamlit as st

from core.training.run_list import RunSummary, read_log_tail, read_metrics
from dashboard import jobs, state
from dashboard.charts.training_curves import curves_figure
from dashboard.components.run_actions import run_actions
from dashboard.wording import ago, duration

REFRESH_SECONDS: Final = 1.5
_TABLE: Final = "run_table"
SAID: Final = {
    "queued": "waiting for its turn",
    "preparing": "preparing data",
    "running": "training",
    "finished": "finished",
    "stopped": "stopped – resume",
    "failed": "failed – resume",
    "crashed": "crashed – resume",
    "stalled": "no sign of life",
    "unreadable": "unreadable",
}
"""States as the page says them."""


def runs_section() -> None:
    """List the runs and show one of them."""
    runs = jobs.all_runs()
    if not runs:
        st.html(
            '<div class="lab-blank">No run yet. Under “New run”, choose a task and a backbone and '
            "start a training; it appears here and goes on when this page is closed.</div>"
        )
        return
    alive = any(run.is_alive for run in runs)
    st.fragment(_live, run_every=REFRESH_SECONDS if alive else None)(alive)


def _live(was_alive: bool) -> None:
    runs = jobs.all_runs()
    if any(run.is_alive for run in runs) != was_alive or not runs:
        # The last run has ended (or the first begun): the page stops (starts) refreshing itself.
        st.rerun(scope="app")
    _table(runs)
    chosen = state.chosen_run([run.run_id for run in runs])
    state.show_run_in_url(chosen)
    _detail(next(run for run in runs if run.run_id == chosen))


def _table(runs: Sequence[RunSummary]) -> None:
    def choose() -> None:
        row = state.clicked_row(_TABLE)
        if row is not None and row < len(runs):
            state.choose_run(runs[row].run_id)

    st.dataframe(
        _rows(runs),
        key=_TABLE,
        on_select=choose,
        selection_mode="single-row",
        hide_index=True,
        height=min(38 + 35 * len(runs), 285),
        column_config={
            "Progress": st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1),
            "Held-out AUC": st.column_config.NumberColumn(format="%.3f"),
        },
    )


def _rows(runs: Sequence[RunSummary]) -> pd.DataFrame:
    now = time.time()
    return pd.DataFrame(
        {
            "Run": [run.run_id for run in runs],
            "State": [SAID[run.state] for run in runs],
            "Progress": [_share_done(run) for run in runs],
            "Held-out AUC": [run.validation_auc for run in runs],
            "Last sign of life": [ago(now - run.changed) for run in runs],
        }
    )


def _detail(run: RunSummary) -> None:
    with st.container(key="run_detail"):
        head, buttons = st.columns([3, 2], vertical_alignment="center")
        with head:
            _headline(run)
        with buttons:
            run_actions(run)
        if run.problem:
            st.error(run.problem)
        elif run.state == "failed" and run.status is not None:
            st.error(run.status.message)
        _figures(run)
        st.plotly_chart(
            curves_figure({run.run_id: metrics_of(run)}),
            config={"displayModeBar": False},
            key="run_curves",
            alt="Loss, held-out AUC, learning rate and throughput against the step",
        )
        _log(run)


def metrics_of(run: RunSummary) -> dict[str, pd.DataFrame]:
    """What a run measured, by event."""
    return {event: read_metrics(run.folder, event) for event in ("step", "validation")}


def _headline(run: RunSummary) -> None:
    pill = "lab-pill-live" if run.is_alive else "lab-pill-quiet"
    what = ""
    if run.config is not None:
        what = f"{run.config.task} · Type {run.config.type} · {run.config.backbone}"
    st.html(
        f'<div class="lab-panel-title">{escape(run.run_id)} '
        f'<b class="lab-pill {pill}">{SAID[run.state]}</b><span>{escape(what)}</span></div>'
    )


def _figures(run: RunSummary) -> None:
    status = run.status
    if status is None:
        return
    st.progress(_share_done(run), text=_progress_text(run))
    steps = read_metrics(run.folder, "step")
    if steps.empty:
        return
    last = steps.iloc[-1]
    auc = "–" if run.validation_auc is None else f"{run.validation_auc:.3f}"
    waiting = last.get("loader_wait_share")
    shown = {
        "training loss": f"{last['loss']:.4f}",
        "held-out AUC": auc,
        "images a second": f"{last['images_per_second']:.1f}",
        "time waiting for data": "–" if waiting is None else f"{waiting:.1%}",
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in shown.items())
    st.html(f'<dl class="lab-figures">{cells}</dl>')


def _progress_text(run: RunSummary) -> str:
    status = run.status
    if status is None or not status.total_steps:
        return status.message if status and status.message else SAID[run.state]
    text = f"step {status.step:,} of {status.total_steps:,}, epoch {status.epoch + 1}"
    left = seconds_left(run)
    if run.state == "running" and left is not None:
        text += f" · about {duration(left)} left"
    return text


def seconds_left(run: RunSummary) -> float | None:
    """Time to the last step at the pace of the last lines; None before there is a pace."""
    steps = read_metrics(run.folder, "step")
    if run.status is None or len(steps) < 2:
        return None
    recent = steps.tail(20)
    times = pd.to_datetime(recent["time"])
    seconds = (times.iloc[-1] - times.iloc[0]).total_seconds()
    made = int(recent["step"].iloc[-1] - recent["step"].iloc[0])
    if made <= 0 or seconds <= 0:
        return None
    return seconds / made * (run.status.total_steps - run.status.step)


def _share_done(run: RunSummary) -> float:
    if run.status is None or not run.status.total_steps:
        return 0.0
    return min(run.status.step / run.status.total_steps, 1.0)


def _log(run: RunSummary) -> None:
    with st.expander("End of the log", icon=":material/subject:"):
        text = read_log_tail(run.folder)
        if not text:
            try:
                text = (run.folder / jobs.OUTPUT_FILE).read_text(errors="replace")[-4000:]
            except OSError:
                text = ""
        st.code(text or "Nothing has been logged yet.", language=None, wrap_lines=True)

"""List of runs, and details of the selected one, live while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.training.run_list import RunSummary, read_log_tail, read_metrics
from dashboard.background.processes import OUTPUT_FILE
from dashboard.session import link, state
from dashboard.session.access import may_change
from dashboard.session.wording import ago, literal, number
from dashboard.training import run_processes
from dashboard.training.curve_section import show_curves
from dashboard.training.fold_table import fold_table
from dashboard.training.run_filter import filtered
from dashboard.training.run_form import form_values
from dashboard.training.run_notes_panel import notes_button, show_notes
from dashboard.training.run_onward import onward
from dashboard.training.run_progress import (
    at_work,
    curves_of,
    held_out_auc,
    in_order,
    members_of,
    progress_of,
)
from dashboard.widgets.frame import blank, figures_list, panel_title
from dashboard.widgets.job_status import poll
from dashboard.widgets.notices import show_error, succeeds

_STOP = "Stops after the current step; the run can be resumed."

REFRESH_SECONDS: Final = 1.5
_TABLE: Final = "run_table"
STATE_NAMES: Final = {
    "queued": "waiting for its turn",
    "preparing": "preparing data",
    "running": "training",
    "finished": "finished",
    "stopped": "stopped – resume",
    "failed": "failed – resume",
    "crashed": "crashed – resume",
    "stalled": "no sign of life – resume",
    "unreadable": "unreadable",
}
"""Names of the states on the page."""


def runs_section() -> None:
    """List the runs and show the selected one.

    Raises:
        LinkError: The URL names a run that does not exist.
    """
    runs = run_processes.all_runs()
    if state.recall(state.RUN_KEY) is None:
        link.check_one_of(state.RUN_KEY, [run.run_id for run in runs], "this installation")
    if not runs:
        blank(
            "No run yet. Under “New run”, choose a task and a backbone and start a training; it "
            "appears here and continues when this page is closed."
        )
        return
    alive = any(run.is_alive for run in runs)
    poll(lambda: _live(alive), every=REFRESH_SECONDS if alive else None)


def _live(was_alive: bool) -> bool:
    runs = in_order(run_processes.all_runs())
    if any(run.is_alive for run in runs) != was_alive or not runs:
        # The last run has ended, or the first begun: the page changes its refreshing.
        return False
    runs = filtered(runs)
    if not runs:
        blank("No run matches; change the search.")
        return True
    _table(runs)
    chosen = state.chosen_of(state.RUN_KEY, [run.run_id for run in runs])
    link.show(state.RUN_KEY, chosen)
    run = next(run for run in runs if run.run_id == chosen)
    _detail(run, members_of(run, runs))
    return True


def _table(runs: Sequence[RunSummary]) -> None:
    def choose() -> None:
        row = state.clicked_row(_TABLE)
        if row is not None and row < len(runs):
            state.choose_run(runs[row].run_id)

    st.dataframe(
        _rows(runs),
        key=_TABLE,
        on_select=choose,
        selection_mode=state.ROW_CLICKS,
        hide_index=True,
        height=min(38 + 35 * len(runs), 285),
        column_config={
            "Run": st.column_config.TextColumn(width="medium"),
            "Tags": st.column_config.TextColumn(width="small"),
            "State": st.column_config.TextColumn(width="small"),
            "Progress": st.column_config.ProgressColumn(
                format="percent", min_value=0, max_value=1, width="small"
            ),
            "Last AUC": st.column_config.TextColumn(
                width="small", help="On the held-out slices; for a run over folds, pooled."
            ),
            "Id": st.column_config.TextColumn(width="small", help="Name of the run's folder."),
        },
    )


def _rows(runs: Sequence[RunSummary]) -> pd.DataFrame:
    now = time.time()
    shares = [progress_of(run, STATE_NAMES[run.state], members_of(run, runs)).share for run in runs]
    return pd.DataFrame(
        {
            "Run": [_name_in_list(run, runs) for run in runs],
            "Id": [run.run_id for run in runs],
            "Tags": [", ".join(run.notes.tags) for run in runs],
            "State": [STATE_NAMES[run.state] for run in runs],
            "Progress": shares,
            "Last AUC": [number(run.validation_auc) for run in runs],
            "Last sign of life": [ago(now - run.changed) for run in runs],
        }
    )


def _name_in_list(run: RunSummary, runs: Sequence[RunSummary]) -> str:
    parent, _, name = run.run_id.rpartition("/")
    return f"↳ {name}" if any(other.run_id == parent for other in runs) else run.name


def _detail(run: RunSummary, members: Sequence[RunSummary]) -> None:
    with st.container(key="run_detail"):
        head, buttons = st.columns([3, 2], vertical_alignment="center")
        with head:
            _headline(run)
            show_notes(run)
        with buttons:
            run_actions(run)
        if run.problem:
            show_error(run.problem)
        elif run.state == "failed" and run.status is not None:
            show_error(run.status.message)
        onward(run, members)
        _figures(run, members)
        _curves(run, members)
        _log(run, members)


def _curves(run: RunSummary, members: Sequence[RunSummary]) -> None:
    curves = curves_of(run, members)
    if all(lines.is_empty for lines in curves.values()):
        blank("Nothing has been measured yet; the curves begin with the first step.")
        return
    show_curves(curves, "run_curves")


def _headline(run: RunSummary) -> None:
    pill = "lab-pill-live" if run.is_alive else "lab-pill-quiet"
    what = ""
    if run.config is not None:
        what = f"{run.config.task} · Type {run.config.type} · {run.config.backbone}"
    if run.name != run.run_id:
        what = f"{run.run_id} · {what}"
    title = f'{escape(run.name)} <b class="lab-pill {pill}">{STATE_NAMES[run.state]}</b>'
    panel_title(title, escape(what))


def _figures(run: RunSummary, members: Sequence[RunSummary]) -> None:
    if run.status is None:
        return
    progress = progress_of(run, STATE_NAMES[run.state], members)
    st.progress(progress.share, text=progress.text)
    fold_table(run)
    current = at_work(run, members)
    steps = read_metrics(current.folder, "step")
    if steps.empty or (current is not run and not current.is_alive):
        return
    last = steps.iloc[-1]
    auc = held_out_auc(read_metrics(current.folder, "validation"))
    epoch = "" if auc.best_epoch is None else f", epoch {auc.best_epoch}"
    figures_list(
        {
            "training loss": f"{last['loss']:.4f}",
            f"last held-out AUC{auc.on}": number(auc.last),
            f"best held-out AUC{epoch}": number(auc.best),
            "learning rate": f"{last['learning_rate']:.1e}",
            "images per second": f"{last['images_per_second']:.1f}",
            "time waiting for data": number(last.get("loader_wait_share"), ".1%"),
        }
    )


def _log(run: RunSummary, members: Sequence[RunSummary]) -> None:
    with st.expander("End of the log", icon=":material/subject:"):
        text = read_log_tail(at_work(run, members).folder)
        if not text:
            try:
                text = (run.folder / OUTPUT_FILE).read_text(errors="replace")[-4000:]
            except OSError:
                text = ""
        st.code(text or "Nothing has been logged yet.", language=None, wrap_lines=True)


def run_actions(run: RunSummary) -> None:
    """Offer the actions on a run; none where the dashboard is read-only."""
    if not may_change():
        st.caption("Read-only: runs can be viewed, not changed.")
        return
    with st.container(horizontal=True, horizontal_alignment="right", key="run_actions"):
        if run.is_alive and st.button("Stop", icon=":material/stop_circle:", help=_STOP):
            _act(run_processes.stop_run, run, f"Run {run.run_id} was asked to stop.")
        if run.can_resume and st.button("Resume", icon=":material/play_arrow:", type="primary"):
            _act(run_processes.resume_run, run, f"Run {run.run_id} was resumed.")
        notes_button(run)
        if run.config is not None and st.button(
            "Duplicate", icon=":material/content_copy:",
            help="Open the form with this run's values.",
        ):  # fmt: skip
            _duplicate(run.config)
        if not run.is_alive:
            _delete_button(run)


def _delete_button(run: RunSummary) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        name = literal(run.run_id)
        st.write(f"Delete run **{name}** with its weights and curves? This cannot be undone.")
        if st.button("Delete for good", type="primary", key="delete_run"):
            state.choose_run(None)
            _act(run_processes.delete_run, run, f"Run {run.run_id} was deleted.")


def _duplicate(config: RunConfig) -> None:
    state.fill_form(form_values(config), overwrite=True)
    state.show_section("New run")
    # The form is outside the fragment that refreshes the runs.
    st.rerun(scope="app")


def _act(action: Callable[[RunSummary], None], run: RunSummary, message: str) -> None:
    if succeeds(lambda: action(run)):
        state.leave_message(message)
        st.rerun(scope="app")

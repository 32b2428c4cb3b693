"""Two runs compared on the patients that both held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from core.errors import CSpineError
from core.evaluation.comparison import PairComparison
from core.experiments.run_comparison import RunComparison, compare_runs
from core.training.run_list import RunSummary
from dashboard.background.process_tasks import find_task, start_score
from dashboard.session.access import may_change
from dashboard.session.wording import number
from dashboard.training.run_form import labels_of
from dashboard.training.run_onward import is_scored
from dashboard.widgets.frame import blank, panel_title
from dashboard.widgets.job_status import poll, task_progress
from dashboard.widgets.notices import show_error, succeeds

_LEVELS: Final = {"patient": "fractured patient", "vertebra": "fractured vertebra"}
_METRICS: Final = {
    "auc": "ROC AUC", "average_precision": "Average precision",
    "brier": "Brier score (lower is better)",
}  # fmt: skip


def paired_section(runs: Sequence[RunSummary]) -> None:
    """Compare two of the chosen runs that detect fractures; nothing for others.

    Args:
        runs: The chosen runs.
    """
    able = [run for run in runs if _can_be_paired(run)]
    if len(able) < 2:
        return
    panel_title(
        "Difference on the same patients",
        "of the patients that both held out; intervals are a paired bootstrap's over patients",
    )
    first, second = able[:2]
    if len(able) > 2:
        first, second = _chosen(able)
    if first is second:
        blank("Choose two different runs.")
        return
    missing = [run for run in (first, second) if not is_scored(run)]
    if missing:
        _predict(missing)
        return
    try:
        found = _compared(first, second)
    except CSpineError as error:
        show_error(error)
        return
    labels = labels_of([first, second])
    st.dataframe(paired_rows(found, labels[first.run_id], labels[second.run_id]), hide_index=True)
    noun = "study" if found.studies == 1 else "studies"
    st.caption(
        f"{found.studies:,} {noun}. A difference is plain where its interval leaves out 0; the "
        "thresholds of either run do not matter here."
    )


def paired_rows(found: RunComparison, first: str, second: str) -> pd.DataFrame:
    """One row per level and metric, as text."""
    rows = [
        {
            "Level": _LEVELS[level],
            "Metric": name,
            f"{first} − {second}": number(pair.differences[metric].value, "+.3f"),
            "95 % interval": _interval(pair, metric),
            "p": number(pair.differences[metric].p_value),
        }
        for level, pair in found.pairs.items()
        for metric, name in _METRICS.items()
    ]
    return pd.DataFrame(rows)


def _interval(pair: PairComparison, metric: str) -> str:
    found = pair.differences[metric]
    if found.low is None or found.high is None:
        return "–"
    return f"{found.low:+.3f} to {found.high:+.3f}"


def _can_be_paired(run: RunSummary) -> bool:
    return (
        run.state == "finished" and run.config is not None and run.config.fold is not None
        and run.config.facts.gives == "fractures"
    )  # fmt: skip


def _chosen(runs: Sequence[RunSummary]) -> tuple[RunSummary, RunSummary]:
    labels, by_id = labels_of(runs), {run.run_id: run for run in runs}
    columns = st.columns(2)
    names = [
        column.selectbox(
            label, list(by_id), index=place, format_func=labels.__getitem__, key=f"paired_{place}"
        )
        for place, (column, label) in enumerate(zip(columns, ("Run", "minus"), strict=True))
    ]
    return by_id[names[0]], by_id[names[1]]


def _predict(missing: Sequence[RunSummary]) -> None:
    """Offer to predict the held-out patients of runs that have not yet."""
    tasks = [find_task("score", run.folder) for run in missing]
    alive = next((task for task in tasks if task is not None and task.is_alive), None)
    if alive is not None:
        target = alive.target
        poll(lambda: task_progress(find_task("score", target), "Predicting"), every=1.0)
        return
    for task in tasks:
        if task is not None and task.state == "failed":
            show_error(task.message)
    names = " and ".join(f"“{run.name}”" for run in missing)
    st.text(f"{names}: the held-out patients are not predicted yet.")
    pressed = may_change() and st.button(
        "Predict them", icon=":material/monitoring:", key="paired_predict",
        help="Takes some seconds each, in the background.",
    )  # fmt: skip
    if pressed and succeeds(lambda: [start_score(run.folder) for run in missing]):
        st.rerun(scope="app")


def _compared(first: RunSummary, second: RunSummary) -> RunComparison:
    assert first.config is not None
    stamps = tuple(str(run.changed) for run in (first, second))
    return _cached(str(first.folder), str(second.folder), str(first.config.data_root), stamps)


@st.cache_data(max_entries=32, show_spinner="Comparing on resampled patients …")
def _cached(first: str, second: str, root: str, stamps: tuple[str, ...]) -> RunComparison:
    del stamps
    return compare_runs(Path(first), Path(second), Path(root))

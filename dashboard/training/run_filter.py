"""Which runs are listed: those that match a search, without those put away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.training.run_list import RunSummary
from dashboard.session import state


def filtered(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Let the user search, and return the runs to list, in their order.

    Args:
        runs: All runs.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="run_filter"):
        text = st.text_input(
            "Find", key="run_search", persist_state="session", width=320,
            placeholder="name, tag, note, task, backbone, state",
        )  # fmt: skip
        archived = sum(run.notes.archived for run in runs)
        with_archived = bool(archived) and st.toggle(
            f"Show archived ({archived})", key="run_archived", persist_state="session"
        )
    return matching(runs, text, with_archived=with_archived, always=state.recall(state.RUN_KEY))


def matching(
    runs: Sequence[RunSummary], text: str, *, with_archived: bool, always: object = None
) -> list[RunSummary]:
    """Runs that hold every word of a text, with the folds and trials of those that do.

    Args:
        runs: All runs.
        text: Words, in any order and case; "" matches every run.
        with_archived: Whether archived runs are listed as well.
        always: Id of a run that is listed in any case, as a link names it.
    """
    words = text.casefold().split()
    found = {run.run_id for run in runs if all(word in _text_of(run) for word in words)}
    away = {run.run_id for run in runs if run.notes.archived and not with_archived}

    def is_listed(run: RunSummary) -> bool:
        parent = run.run_id.partition("/")[0]
        return bool({run.run_id, parent} & found) and not {run.run_id, parent} & away

    kept = {run.run_id for run in runs if is_listed(run)}
    # The run of a fold that is listed is listed above it.
    kept |= {run_id.partition("/")[0] for run_id in kept}
    if not words:
        kept.add(str(always))
    return [run for run in runs if run.run_id in kept]


def _text_of(run: RunSummary) -> str:
    config = run.config
    parts = [run.run_id, run.name, run.notes.note, *run.notes.tags, run.state]
    if config is not None:
        parts += [config.task, f"type {config.type}", config.backbone]
    return "\n".join(parts).casefold()

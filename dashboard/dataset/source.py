"""Choice of the data set, and its index with progress while it is being built."""

from __future__ import annotations

import streamlit as st

from core.dataset.rsna import IMAGES_FOLDER
from core.errors import DataRootError
from dashboard.background import process_tasks
from dashboard.dataset.indexed_set import IndexedSet, indexed_set
from dashboard.session import link, state
from dashboard.session.access import may_change
from dashboard.studies.cohort import COUNT_SLICES_UP_TO
from dashboard.studies.data_sets import DataSetChoice, data_sets
from dashboard.widgets.frame import blank
from dashboard.widgets.job_status import poll, task_progress
from dashboard.widgets.notices import show_error, show_warning, succeeds


def data_set_picker() -> DataSetChoice | None:
    """Let the user choose a data set; None without any."""
    choices = data_sets()
    if not choices:
        st.info(
            "There is no data set yet. Make synthetic studies below, run `python -m core demo`, or "
            "start the lab with `RSNA_ROOT=/data make run`.",
            icon=":material/database:",
        )
        return None
    by_key = {choice.key: choice for choice in choices}
    state.choose_from_url(state.DATA_SET_KEY, list(by_key), "this installation")
    chosen = st.selectbox(
        "Data set",
        list(by_key),
        format_func=lambda key: _title(by_key[key]),
        key=state.DATA_SET_KEY,
        persist_state="session",
        help="Diagnosis, Preprocessing, Localization and 3D spine show the studies of this set.",
    )
    link.show(state.DATA_SET_KEY, chosen)
    return by_key[chosen]


def index_or_progress(choice: DataSetChoice | None) -> IndexedSet | None:
    """The indexed data set; None, with offer or progress shown, while there is no index."""
    if choice is None:
        return None
    if not choice.complete:
        blank("This cohort is not complete. Continue or remove it under “Make synthetic studies”.")
        return None
    try:
        found = indexed_set(choice.root)
    except DataRootError as error:
        show_error(error, icon=":material/database_off:")
        return None
    task = process_tasks.find_task("index", choice.root)
    if task is not None and task.is_alive:
        _watch(choice, task)
        return found
    if found is None:
        _offer(choice, task)
    elif found.outdated:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(":material/update: The data set has changed since it was indexed.")
            _index_button(choice, "Index again")
    return found


def _offer(choice: DataSetChoice, task: process_tasks.Task | None) -> None:
    """Index a small data set at once; offer to index a large one."""
    if task is not None:
        words = {"failed": task.message, "stopped": "The indexing was stopped."}
        if task.state in words:
            show_warning(words[task.state] or "The indexing failed.", icon=":material/warning:")
    elif _is_small(choice) and may_change():
        succeeds(lambda: _watch(choice, process_tasks.start_index(choice.root)))
        return
    blank(
        "This data set has no index yet. Indexing reads every file once and stores the headers; it "
        "continues when this page is closed."
    )
    if may_change():
        _index_button(choice, "Index it now")


def _index_button(choice: DataSetChoice, label: str) -> None:
    if not may_change() or not st.button(label, icon=":material/database_search:"):
        return
    if succeeds(lambda: process_tasks.start_index(choice.root)):
        st.rerun(scope="app")


def _watch(choice: DataSetChoice, task: process_tasks.Task) -> None:
    title = f"Indexing {choice.title}"
    poll(lambda: task_progress(process_tasks.read_task(task.folder), title), every=1.0)


def _is_small(choice: DataSetChoice) -> bool:
    try:
        count = sum(1 for _ in (choice.root / IMAGES_FOLDER).iterdir())
    except OSError:
        return False
    return count <= COUNT_SLICES_UP_TO


def _title(choice: DataSetChoice) -> str:
    return choice.title if choice.complete else f"{choice.title} · not complete"

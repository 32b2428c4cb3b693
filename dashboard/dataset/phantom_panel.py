"""Panel that generates synthetic studies: form, progress and removal."""

from __future__ import annotations

from functools import partial
from typing import Final

import streamlit as st

from core.constants import SYNTHETIC_WARNING
from dashboard.background import process_tasks
from dashboard.session import state
from dashboard.session.access import may_change, read_only_reason
from dashboard.session.wording import duration
from dashboard.studies.data_sets import DataSetChoice, data_sets, new_cohort_root, remove_cohort
from dashboard.widgets.job_status import poll, task_progress
from dashboard.widgets.notices import show_error, show_warning, succeeds

MAX_STUDIES: Final = 500
SECONDS_A_STUDY: Final = {128: 0.8, 256: 2.0, 512: 6.0}
"""Seconds per study on one core of a small machine, for a rough estimate."""
MIB_A_STUDY: Final = {128: 8, 256: 30, 512: 120}


def phantom_panel() -> None:
    """Draw the form of a new cohort, and the progress of cohorts being generated."""
    made = [choice for choice in data_sets() if choice.made_here]
    found = [(choice, process_tasks.find_task("phantom", choice.root)) for choice in made]
    at_work = [task for _, task in found if task is not None and task.is_alive]
    unfinished = [(c, t) for c, t in found if not c.complete and not (t and t.is_alive)]
    with st.expander(
        "Make synthetic studies", icon=":material/add_circle:",
        expanded=bool(at_work or unfinished) or not data_sets(),
    ):  # fmt: skip
        st.caption(
            "CT-like cervical spines with known fractures, written as real DICOM in RSNA's layout. "
            + SYNTHETIC_WARNING
        )
        for task in at_work:
            poll(partial(_progress, task), every=1.0)
        for choice, task in unfinished:
            _unfinished(choice, task)
        if reason := read_only_reason():
            st.caption(f"{reason}: no studies can be generated.")
            return
        _form()
        _remove([choice for choice in made if choice.complete])


def _form() -> None:
    with st.container(key="phantom_form", horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", "cohort-1", key="phantom_name", max_chars=40, width=150)
        studies = st.number_input("Studies", 1, MAX_STUDIES, 12, key="phantom_studies", width=130)
        seed = st.number_input(
            "Seed", 0, 2**31 - 1, 7, key="phantom_seed", width=130,
            help="The same seed gives the same studies, to the pixel.",
        )  # fmt: skip
        matrix = st.selectbox(
            "Pixels per side", sorted(SECONDS_A_STUDY), index=1, key="phantom_matrix", width=130,
            help="Rows and columns of a slice.",
        )  # fmt: skip
        rsna_like = st.toggle(
            "RSNA's quirks", key="phantom_rsna_like",
            help="Spacing and coverage as in the real set, few masks and boxes, and its oddities: "
            "reversed numbering, duplicate positions, gaps, unreadable files.",
        )  # fmt: skip
        if st.button("Generate", type="primary", icon=":material/play_arrow:"):
            _start(name, int(studies), int(seed), int(matrix), rsna_like=rsna_like)
    seconds = SECONDS_A_STUDY[int(matrix)] * int(studies)
    st.caption(
        f"Roughly {duration(seconds)} of one core and {MIB_A_STUDY[int(matrix)] * int(studies):,} "
        "MiB of disk; it continues when this page is closed."
    )


def _start(name: str, studies: int, seed: int, matrix: int, *, rsna_like: bool) -> None:
    def start() -> None:
        process_tasks.start_phantom(
            new_cohort_root(name.strip()), studies=studies, seed=seed, matrix=matrix,
            rsna_like=rsna_like,
        )  # fmt: skip

    if succeeds(start):
        st.rerun(scope="app")


def _progress(task: process_tasks.Task) -> bool:
    now = process_tasks.read_task(task.folder)
    if now is not None and now.state == "finished":
        state.leave_message(f"Cohort {task.target.name} is ready; choose it as the data set.")
    return task_progress(now, f"Making {task.target.name}")


def _unfinished(choice: DataSetChoice, task: process_tasks.Task | None) -> None:
    """Show a cohort that was cancelled or failed, with its remedies."""
    if task is not None and task.state == "failed":
        show_error(f"{choice.title}: {task.message}")
    else:
        done = f" {task.done:,} of {task.total:,} studies are there." if task and task.total else ""
        show_warning(f"{choice.title} is not complete.{done}", icon=":material/pause_circle:")
    if not may_change():
        return
    with st.container(horizontal=True):
        if st.button("Continue", key=f"go_on_{choice.key}", icon=":material/play_arrow:"):
            _continue(choice)
        if st.button("Remove", key=f"remove_{choice.key}", icon=":material/delete:"):
            _removed(choice)


def _continue(choice: DataSetChoice) -> None:
    if succeeds(lambda: process_tasks.resume_phantom(choice.root)):
        st.rerun(scope="app")


def _remove(made: list[DataSetChoice]) -> None:
    if not made:
        return
    with st.popover("Remove a cohort", icon=":material/delete:"):
        by_key = {choice.key: choice for choice in made}
        chosen = st.selectbox(
            "Cohort", list(by_key), format_func=lambda key: by_key[key].title, key="remove_cohort"
        )
        st.caption("Its studies are deleted; the same seed generates them again.")
        if st.button("Remove cohort", type="primary"):
            _removed(by_key[chosen])


def _removed(choice: DataSetChoice) -> None:
    if succeeds(lambda: remove_cohort(choice)):
        state.leave_message(f"{choice.title} was removed.")
        st.rerun(scope="app")

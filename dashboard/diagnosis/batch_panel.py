"""Batch mode: score every study of a folder and list the results."""

from __future__ import annotations

import streamlit as st

from core.constants import VERTEBRAE
from core.dataset.study_search import studies_at
from core.errors import CSpineError
from core.models.pairs import BundlePair
from core.system.csv_text import frame_csv
from core.types import StudyRecord
from dashboard.diagnosis.batch import (
    StudyBatch,
    batch_table,
    correct_calls,
    find_batch,
    start_batch,
)
from dashboard.session import link, state
from dashboard.session.access import may_browse
from dashboard.session.typed_path import typed_path
from dashboard.studies.current_set import current_cohort
from dashboard.widgets.job_status import job_progress, poll
from dashboard.widgets.notices import show_error, show_warning


def batch_panel(pair: BundlePair | None) -> None:
    """Let the user choose a folder of studies and score them; show the table of results."""
    records = _records()
    if records is None:
        return
    if pair is None:
        st.info("Scoring studies needs networks; `make demo-models` trains them.")
        return
    batch = StudyBatch(records, pair)
    job = find_batch(batch)
    if job is None or job.finished:
        _idle(batch)
    else:
        poll(lambda: _running(batch), every=1.0)
    _results(batch)


def _records() -> tuple[StudyRecord, ...] | None:
    typed = st.text_input(
        "Folder of studies on the machine that runs the dashboard; leave empty for the data set "
        "chosen on the Dataset page",
        placeholder="/data/ct/many",
        key="batch_folder",
        persist_state="session",
    )
    try:
        if (folder := typed_path(typed)) is not None:
            return studies_at(folder).records
        cohort = current_cohort()
    except (CSpineError, OSError) as error:
        show_error(error, icon=":material/folder_off:")
        return None
    if cohort is None:
        st.info("There are no studies yet; `python -m core demo` makes some.")
        return None
    return cohort.studies


def _idle(batch: StudyBatch) -> None:
    job = find_batch(batch)
    if job is not None and job.error is not None:
        show_warning(job.error, icon=":material/stop_circle:")
    n = len(batch.records)
    st.button(
        f"Score {n} {'study' if n == 1 else 'studies'}", key="batch_start", type="primary",
        icon=":material/play_arrow:", on_click=_start, args=(batch,),
        help="Studies that these networks have scored before are not scored again.",
    )  # fmt: skip


def _start(batch: StudyBatch) -> None:
    start_batch(batch)


def _running(batch: StudyBatch) -> bool:
    job = find_batch(batch)
    return job_progress(
        job, "Study {next} of {total}", starting=f"Study 1 of {len(batch.records)}",
        cancel=job and job.cancel, key="batch_cancel",
    )  # fmt: skip


def _results(batch: StudyBatch) -> None:
    table = batch_table(batch)
    if table.empty:
        st.caption("The table of results appears once the first study has been scored.")
        return
    correct, known = correct_calls(table)
    share = f"; {correct} of {known} with known truth are called correctly" if known else ""
    st.markdown(f"**{len(table)} studies scored{share}.** Click a row to open its study.")
    probabilities = {
        name: st.column_config.ProgressColumn(name, min_value=0.0, max_value=1.0, format="%.2f")
        for name in ("Patient", *VERTEBRAE)
    }
    probabilities["Distribution"] = st.column_config.NumberColumn(
        format="%.2f", help="Distribution score: above 1, no call is made."
    )
    st.dataframe(
        table, hide_index=True, column_config=probabilities, key="batch_rows",
        on_select=lambda: _open(batch), selection_mode=state.ROW_CLICKS,
    )  # fmt: skip
    st.download_button(
        "Table as CSV", frame_csv(table), "cspine_batch.csv", "text/csv",
        key="batch_csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _open(batch: StudyBatch) -> None:
    row = state.clicked_row("batch_rows")
    if row is None:
        return
    study_id = str(batch_table(batch)["Study"].iloc[row])
    cohort = current_cohort()
    if cohort is not None and any(one.study_id == study_id for one in cohort.studies):
        state.open_in_diagnosis(study_id)
        return
    folder = next(one.folder for one in batch.records if one.study_id == study_id)
    state.open_folder_in_diagnosis(str(folder))


def many_studies_chosen() -> bool:
    """Let an operator choose between one study and batch mode; True for batch mode."""
    if not may_browse():
        link.check("view", lambda _: None, "only operators may score many studies")
        return False
    link.choose(state.MODE_KEY, "view", {"many": state.MANY_STUDIES}.get, state.ONE_STUDY)
    chosen = st.segmented_control(
        "Mode",
        [state.ONE_STUDY, state.MANY_STUDIES],
        required=True,
        key=state.MODE_KEY,
        persist_state="session",
        label_visibility="collapsed",
    )
    link.show("view", "many" if chosen == state.MANY_STUDIES else None)
    return chosen == state.MANY_STUDIES

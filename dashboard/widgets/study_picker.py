"""Choice of a study: from the data set, an upload or, for operators, a folder of the server."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.dataset.rsna import is_synthetic
from core.errors import CSpineError, DataRootError
from core.types import StudyRecord
from dashboard.session import link, state
from dashboard.session.access import may_browse
from dashboard.session.typed_path import typed_path
from dashboard.studies.cohort import CurrentDataSet
from dashboard.studies.current_set import current_cohort, current_set
from dashboard.studies.data_sets import title_of
from dashboard.studies.on_screen import put_on_screen
from dashboard.studies.open_study import OpenStudy, open_study
from dashboard.studies.synthetic_studies import linked_study
from dashboard.widgets.notices import show_error
from dashboard.widgets.upload_panel import upload_panel

COHORT, FOLDER, UPLOAD = "Data set", "Folder", "Upload"
_PAGES = frozenset({"preprocessing", "diagnosis", "localization", "spine_3d"})


@dataclass(frozen=True, slots=True)
class StudyChoice:
    """A chosen study.

    Attributes:
        folder: Folder of the series.
        record: Entry of the study in the data set; None for other folders.
        synthetic: Whether the study is known to be generated.
        owner: Session that uploaded the study; None for other folders.
    """

    folder: Path
    record: StudyRecord | None = None
    synthetic: bool = False
    owner: str | None = None

    @property
    def truth(self) -> tuple[bool, ...] | None:
        """y_j for C1..C7; None if unlabelled."""
        return None if self.record is None else self.record.fractured


def study_picker() -> StudyChoice | None:
    """Let the user choose a study; None while there is nothing to open."""
    row = st.container(key="picker", horizontal=True, vertical_alignment="top")
    # Below the row: a message next to the widgets would squeeze them.
    messages = st.container()
    with row:
        offered = [COHORT, FOLDER, UPLOAD] if may_browse() else [COHORT, UPLOAD]
        state.start_with("source", COHORT)
        source = st.segmented_control(
            "Source",
            offered,
            required=True,
            key="source",
            persist_state="session",
        )
        # Checked again: a user who lost the right to browse still has the old choice.
        if source == FOLDER and may_browse():
            return _typed_folder(messages)
        if source == UPLOAD:
            return _uploaded(messages)
        return _cohort_study(messages)


def follow_back(page: str) -> None:
    """After Back or Forward, choose where the study comes from as the URL says.

    Args:
        page: Path of the page in the URL.
    """
    if page not in _PAGES or not link.came_back():
        return
    if link.linked(state.STUDY_KEY) is not None:
        state.remember("source", COHORT)
    if link.linked(state.DATA_SET_KEY) is None:
        # The URL of a study page leaves the data set in use out.
        state.remember(state.DATA_SET_KEY, None)


def other_source(page: str) -> str:
    """Where the scan on show comes from if it may be a real one; "" otherwise.

    Args:
        page: Path of the page in the URL.
    """
    source = state.recall("source") if page in _PAGES else None
    many = page == "diagnosis" and state.recall(state.MODE_KEY) == state.MANY_STUDIES
    if source == FOLDER or many:
        with suppress(DataRootError):
            folder = typed_path(str(state.recall("batch_folder" if many else "folder") or ""))
            return "" if folder is None or _is_generated(folder) else "a folder"
        return ""
    return "an upload" if source == UPLOAD and state.recall(state.UPLOAD_KEY) else ""


def _is_generated(folder: Path) -> bool:
    """Whether a folder is, or lies in, a data set that was generated."""
    return any(is_synthetic(place) for place in (folder, *folder.parents))


def open_choice(choice: StudyChoice | None) -> OpenStudy | None:
    """Read the chosen series; on bad input show the error and return None.

    Raises:
        LinkError: The URL names a slice that the series does not have.
    """
    if choice is None:
        return None
    try:
        with st.spinner("Reading the series …", show_time=True):
            study = open_study(choice.folder, owner=choice.owner)
    except CSpineError as error:
        show_error(error, icon=":material/folder_off:")
        return None
    link.check_slice(study.volume.n_slices)
    put_on_screen(study)
    link.show(state.STUDY_KEY, choice.record.study_id if choice.record else None)
    return study


def _cohort_study(messages: DeltaGenerator) -> StudyChoice | None:
    try:
        cohort = current_cohort()
    except DataRootError as error:
        show_error(error, icon=":material/database_off:", place=messages)
        return None
    if cohort is None or not cohort.studies:
        messages.info(
            "There are no studies yet. `make run` prepares the demo cohort before it opens "
            "the dashboard; `python -m core demo` does only that. You can already use a folder or "
            "an upload.",
            icon=":material/database:",
        )
        return None
    records = {record.study_id: record for record in cohort.studies}
    try:
        named = state.recall(state.STUDY_KEY) or st.query_params.get(state.STUDY_KEY)
        linked = linked_study(named, records)
    except CSpineError as error:
        show_error(error, icon=":material/database_off:", place=messages)
        linked = None
    if linked is not None:
        records[linked.study_id] = linked
    names = {study_id: f"Study {number}" for number, study_id in enumerate(records, start=1)}
    if linked is not None:
        names[linked.study_id] = "Study of a shipped cohort"
    state.choose_from_url(state.STUDY_KEY, list(records), "the data set")
    state.start_with(state.STUDY_KEY, list(records)[telling_study(records.values())])
    chosen = st.selectbox(
        _label(cohort),
        list(records),
        format_func=lambda study_id: f"{names[study_id]} · UID …{study_id[-8:]}",
        key=state.STUDY_KEY,
        persist_state="session",
    )
    data_set = current_set()
    shown = None if data_set is None or data_set.in_use else data_set.key
    link.show(state.DATA_SET_KEY, shown)
    synthetic = cohort.synthetic or (linked is not None and chosen == linked.study_id)
    return StudyChoice(records[chosen].folder, records[chosen], synthetic)


def telling_study(records: Iterable[StudyRecord]) -> int:
    """Place of the first study with a fracture, which has something to show; else of the first."""
    return next((k for k, record in enumerate(records) if record.patient_fractured), 0)


def _label(cohort: CurrentDataSet) -> str:
    choice = current_set()
    chosen = "" if choice is None or choice.in_use else " (chosen on the Dataset page)"
    return f"Study of {title_of(cohort.root)}{chosen}"


def _typed_folder(messages: DeltaGenerator) -> StudyChoice | None:
    typed = st.text_input(
        "Folder with DICOM files, on the machine that runs the dashboard",
        placeholder="/data/ct/series or ../shared/data/…",
        key="folder",
        persist_state="session",
    )
    try:
        folder = typed_path(typed)
    except DataRootError as error:
        show_error(error, icon=":material/folder_off:", place=messages)
        return None
    return None if folder is None else StudyChoice(folder, synthetic=_is_generated(folder))


def _uploaded(messages: DeltaGenerator) -> StudyChoice | None:
    folder = upload_panel(messages)
    return None if folder is None else StudyChoice(folder, owner=state.session_name())

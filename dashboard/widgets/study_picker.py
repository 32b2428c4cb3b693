"""Choice of a study: from the data set, an upload or, for operators, a folder or a DICOM server."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.dataset.rsna import is_synthetic
from core.errors import ConfigError, CSpineError, DataRootError
from core.models.pairs import BundlePair
from core.types import StudyRecord
from dashboard.session import link, state
from dashboard.session.access import may_browse
from dashboard.session.teaching import TRUTH_LISTED, teaches
from dashboard.session.typed_path import typed_path
from dashboard.studies.case_notes import case_notes
from dashboard.studies.cohort import CurrentDataSet
from dashboard.studies.current_set import current_cohort, current_set
from dashboard.studies.dicom_servers import offered_servers
from dashboard.studies.on_screen import put_on_screen
from dashboard.studies.open_study import OpenStudy, open_study
from dashboard.studies.synthetic_studies import linked_study
from dashboard.widgets.notices import show_error
from dashboard.widgets.server_panel import server_panel
from dashboard.widgets.study_steps import step_button, study_steps, worklist_line
from dashboard.widgets.upload_panel import upload_panel

COHORT, FOLDER, UPLOAD, SERVER = "Data set", "Folder", "Upload", "DICOM server"
_ICONS: Final = {
    COHORT: ":material/database:", FOLDER: ":material/folder_open:", UPLOAD: ":material/upload:",
    SERVER: ":material/dns:",
}  # fmt: skip
_SOURCE_HELP: Final = "Where the study comes from"
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
    def study_id(self) -> str | None:
        """Its id in the data set; None for other folders."""
        return None if self.record is None else self.record.study_id

    @property
    def truth(self) -> tuple[bool, ...] | None:
        """y_j for C1..C7; None if unlabelled."""
        return None if self.record is None else self.record.fractured


def study_picker(
    messages: DeltaGenerator, pair: BundlePair | None = None, *, boxed: bool = False
) -> StudyChoice | None:
    """Let the user choose a study, as part of a row; None while there is nothing to open.

    Args:
        messages: Container below the row; a message next to the widgets would squeeze them.
        pair: The networks whose calls the list of studies names; None for none.
        boxed: Whether the page opens on a study with true boxes, if there is one.
    """
    offered = _sources(messages)
    state.start_with("source", COHORT)
    # Checked again: a user who lost the right to browse still has the old choice.
    now = state.recall("source") if state.recall("source") in offered else COHORT
    with st.popover(_source_label(now), key="source_popover", icon=_ICONS[now], help=_SOURCE_HELP):
        source = st.segmented_control(
            "Source", offered, required=True, key="source", persist_state="session"
        )
        if source not in offered:
            source = COHORT
        if source == FOLDER:
            choice = _typed_folder(messages)
        elif source == UPLOAD:
            choice = _own_study(upload_panel(messages))
        elif source == SERVER:
            choice = _own_study(server_panel(messages))
        else:
            choice = None
            st.caption(f"Studies of {_source_label(COHORT)}; Dataset chooses another set.")
    if source != COHORT:
        st.html(f'<span class="lab-muted">{escape(_shown_folder(choice))}</span>')
        return choice
    return _cohort_study(messages, pair, boxed=boxed)


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
    if source == SERVER:
        return "a DICOM server" if state.recall(state.FETCH_KEY) else ""
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


def _cohort_study(
    messages: DeltaGenerator, pair: BundlePair | None, *, boxed: bool
) -> StudyChoice | None:
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
    names = _study_names(cohort, pair)
    if linked is not None:
        names[linked.study_id] = f"Study of a shipped cohort · …{linked.study_id[-8:]}"
    state.choose_from_url(state.STUDY_KEY, list(records), "the data set")
    state.start_with(state.STUDY_KEY, list(records)[telling_study(records.values(), boxed=boxed)])
    ids = [record.study_id for record in cohort.studies]
    back, on = study_steps(state.recall(state.STUDY_KEY), ids)
    step_button("Previous", back)
    chosen = st.selectbox(
        f"Study of {_source_label(COHORT)}",
        list(records),
        format_func=lambda study_id: names[study_id],
        filter_mode="contains",
        key=state.STUDY_KEY,
        label_visibility="collapsed",
        persist_state="session",
    )
    step_button("Next", on)
    with messages:
        worklist_line(chosen)
    data_set = current_set()
    shown = None if data_set is None or data_set.in_use else data_set.key
    link.show(state.DATA_SET_KEY, shown)
    synthetic = cohort.synthetic or (linked is not None and chosen == linked.study_id)
    return StudyChoice(records[chosen].folder, records[chosen], synthetic)


def _study_names(cohort: CurrentDataSet, pair: BundlePair | None) -> dict[str, str]:
    """Names of the studies in their list, which is searched by any part of them."""
    teaching = teaches()
    truth = bool(state.recall(state.TRUTH_KEY)) and not teaching
    state.remember(TRUTH_LISTED, truth)
    notes = case_notes(cohort, pair, truth=truth, calls=not teaching)
    return {
        study_id: " · ".join(filter(None, (f"Study {number}", f"…{study_id[-8:]}", note)))
        for number, (study_id, note) in enumerate(notes.items(), start=1)
    }


def telling_study(records: Iterable[StudyRecord], *, boxed: bool = False) -> int:
    """Place of the first study with a fracture, which has something to show; else of the first.

    Args:
        records: The studies.
        boxed: Whether one with true boxes goes first.
    """
    known = list(records)
    with_boxes = (k for k, record in enumerate(known) if boxed and record.boxes)
    fractured = (k for k, record in enumerate(known) if record.patient_fractured)
    return next(with_boxes, next(fractured, 0))


def _source_label(source: str) -> str:
    """Name of a source on its button: for the data set, that of the set on show."""
    data_set = current_set() if source == COHORT else None
    return source if data_set is None else data_set.title


def _shown_folder(choice: StudyChoice | None) -> str:
    """What stands in the place of the studies of a data set."""
    if choice is None:
        return "No study yet: choose one under the button on the left."
    return f"{choice.folder.name} (uploaded)" if choice.owner else str(choice.folder)


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


def _own_study(folder: Path | None) -> StudyChoice | None:
    return None if folder is None else StudyChoice(folder, owner=state.session_name())


def _sources(messages: DeltaGenerator) -> list[str]:
    """Where the user may take a study from."""
    if not may_browse():
        return [COHORT, UPLOAD]
    try:
        servers = offered_servers()
    except ConfigError as error:
        show_error(error, icon=":material/dns:", place=messages)
        servers = []
    return [COHORT, FOLDER, UPLOAD, *([SERVER] if servers else [])]

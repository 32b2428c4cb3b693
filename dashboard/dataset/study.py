"""One study of the data set: slices with truth overlays, quality flags and header."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.constants import VERTEBRAE
from core.dataset.quality import FLAGS
from core.dicom.metadata import read_metadata
from core.errors import CSpineError
from core.types import StudyRecord
from dashboard.dataset.indexed_set import IndexedSet
from dashboard.session import link, state
from dashboard.session.urls import PAGES
from dashboard.studies.data_sets import DataSetChoice
from dashboard.studies.open_study import OpenStudy, open_study
from dashboard.widgets.frame import panel_title
from dashboard.widgets.html_table import html_table
from dashboard.widgets.notices import show_error
from dashboard.widgets.scrolling import keep_in_view
from dashboard.widgets.slice_viewer.viewer import slice_viewer
from dashboard.widgets.study_layers import slice_with_box, study_layers


def dataset_study(choice: DataSetChoice, data: IndexedSet, study_id: str) -> None:
    """Show a study below the table.

    Args:
        choice: Data set of the study.
        data: The indexed data set.
        study_id: Study id from the table or the URL, where it may be invalid.
    """
    rows = data.table.studies
    found = rows.loc[rows["study_id"] == study_id]
    link.show(state.STUDY_KEY, study_id if len(found) else None)
    if found.empty:
        return
    record, row = data.records.get(study_id), found.iloc[0]
    with st.container(key="dataset_study"):
        _headline(choice, study_id, record)
        picture, facts = st.columns([3, 2], gap="large")
        with facts:
            _truth(record)
            _flags([flag.column for flag in FLAGS if row[flag.column]], row["error"])
        with picture:
            study = _opened(record)
            if study is not None and record is not None:
                slice_viewer(
                    study,
                    key=f"dataset_viewer_{study_id}",
                    slice_index=slice_with_box(record, study.volume),
                    panes=("axial", "sagittal"),
                    overlays=study_layers(study, record, reveal=True, mask_shown=True),
                    study_id=study_id,
                )
        if study is not None:
            with facts:
                _metadata(study)
    keep_in_view(".st-key-dataset_study", f"{study_id} {state.dataset_openings()}")


def _headline(choice: DataSetChoice, study_id: str, record: StudyRecord | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="study_head"):
        st.html(
            f'<h2 class="lab-plain">Study …{escape(study_id[-12:])}</h2>'
            f'<span class="lab-muted">{escape(study_id)}</span>'
        )
        if record is not None and st.button("Open in Diagnosis", icon=":material/radiology:"):
            state.open_in_diagnosis(study_id)
            st.switch_page(PAGES / "diagnosis.py")
        st.button(
            "Close", icon=":material/close:", on_click=state.open_dataset_study,
            args=(choice.key, None),
        )  # fmt: skip


def _opened(record: StudyRecord | None) -> OpenStudy | None:
    if record is None:
        st.error("The tables name this study, but its folder is missing; copy the study.")
        return None
    try:
        with st.spinner("Reading the series …", show_time=True):
            return open_study(record.folder)
    except CSpineError as error:
        show_error(error, icon=":material/folder_off:")
        return None


def _truth(record: StudyRecord | None) -> None:
    labels = record.fractured if record is not None else None
    if labels is None:
        text = "This study has no label, so predictions cannot be checked."
    elif any(labels):
        names = [name for name, positive in zip(VERTEBRAE, labels, strict=True) if positive]
        text = f"Labelled as fractured: <b>{', '.join(names)}</b>."
    else:
        text = "Labelled as not fractured."
    panel_title("Truth", text)


def _flags(columns: list[str], error: str | None) -> None:
    found = [flag for flag in FLAGS if flag.column in columns]
    if error:
        show_error(error)
    if not found:
        panel_title("Flags", "None: nothing unusual about the files.")
        return
    items = "".join(
        f"<li><b>{escape(flag.title)}.</b> {escape(flag.meaning)}</li>" for flag in found
    )
    panel_title("Flags")
    st.html(f'<ul class="lab-list">{items}</ul>')


def _metadata(study: OpenStudy) -> None:
    """Show the header of the middle slice, without elements that may identify a person."""
    volume = study.volume
    try:
        metadata = read_metadata(volume.source_files[len(volume.source_files) // 2])
    except CSpineError as error:
        show_error(error)
        return
    panel_title("Header of the middle slice", escape(metadata.transfer_syntax))
    for title, elements in metadata.groups.items():
        with st.expander(f"{title} ({len(elements)})", expanded=title == "Scan"):
            st.html(html_table((), ((escape(e.name), escape(e.value)) for e in elements), looks=""))
    with st.expander(f"Hidden, since they may identify a person ({len(metadata.hidden)})"):
        st.caption(
            "Everything except technical numbers and codes stays hidden, its value unread: "
            + ", ".join(metadata.hidden)
            + (f"; and {metadata.private} private elements." if metadata.private else ".")
        )
    for note in volume.notes:
        st.caption(f":material/info: {note}")

"""Popover that adds columns to the studies by a CSV, and removes them."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from core.errors import CSpineError
from dashboard.evaluation.added_columns import (
    MAX_COLUMNS_MIB,
    AddedColumns,
    add_columns,
    forget_columns,
    list_added,
)
from dashboard.evaluation.comparison import ComparisonTable
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.settings import settings
from dashboard.studies.incoming_files import arrived, content_of
from dashboard.widgets.notices import show_error, succeeds


def columns_popover(comparison: ComparisonTable) -> None:
    """Draw the popover; nothing where the dashboard is read-only."""
    if not may_change():
        return
    with st.popover("Add columns", icon=":material/upload_file:"):
        st.caption(
            "A CSV with one row per study: `StudyInstanceUID` and any columns, such as site, "
            "scanner, age or sex. Columns of names or numbers make groups; everyone who uses this "
            "dashboard sees them."
        )
        upload = st.file_uploader(
            f"CSV, up to {MAX_COLUMNS_MIB} MiB",
            type=["csv", "tsv", "txt"],
            max_upload_size=MAX_COLUMNS_MIB,
            key="ev_columns_csv",
        )
        ready = upload is not None
        if st.button("Add", type="primary", disabled=not ready, key="ev_columns_add") and upload:
            try:
                titles = add_columns(
                    settings(), PurePath(upload.name).stem or "columns",
                    content_of(arrived(upload), MAX_COLUMNS_MIB),
                    truth_id=comparison.truth.truth_id,
                    study_ids=comparison.evaluated.data.truth.study_ids,
                )  # fmt: skip
            except CSpineError as error:
                show_error(error, icon=":material/error:")
                return
            state.leave_message(f"Added for subgroups: {', '.join(titles)}.")
            st.rerun()
        _forget_button(comparison.truth.truth_id)


def _forget_button(truth_id: str) -> None:
    added = {one.import_id: one for one in list_added(settings(), truth_id)}
    if not added:
        return
    st.divider()
    chosen = st.selectbox(
        "Added tables",
        list(added),
        format_func=lambda key: added[key].name,
        key="ev_columns_forget",
    )
    if st.button("Remove", key="ev_columns_forget_button") and _forgets(added[chosen]):
        st.rerun()


def _forgets(added: AddedColumns) -> bool:
    return succeeds(lambda: forget_columns(settings(), added))

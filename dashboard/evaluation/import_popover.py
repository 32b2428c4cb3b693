"""Import of predictions of another model: a CSV, or a folder of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from core.errors import CSpineError
from dashboard.evaluation.imports import MAX_CSV_MIB, forget_import, import_csv, import_folder
from dashboard.evaluation.sources import Sources
from dashboard.session import state
from dashboard.session.access import may_change
from dashboard.session.settings import settings
from dashboard.session.typed_path import typed_path
from dashboard.studies.incoming_files import arrived, content_of
from dashboard.widgets.notices import show_error, succeeds

_OTHER: Final = ""


def import_popover(sources: Sources) -> None:
    """Draw the import popover; nothing where the dashboard is read-only."""
    if not may_change():
        return
    with st.popover("Add predictions", icon=":material/upload_file:", width="stretch"):
        st.caption(
            "A CSV with one row per study (`uid, C1 … C7` and, if known, `Overall`), the "
            "competition's format (`row_id, fractured`), with commas, semicolons or tabs, or a "
            "folder that `python -m core predict` wrote."
        )
        upload = st.file_uploader(
            f"CSV, up to {MAX_CSV_MIB} MiB",
            type=["csv", "tsv", "txt"],
            max_upload_size=MAX_CSV_MIB,
            key="ev_csv",
        )
        folder = st.text_input(
            "or folder of predictions on this machine", key="ev_folder",
            placeholder="var/predictions/my-model",
        )  # fmt: skip
        name = st.text_input("Name of the model", key="ev_import_name", placeholder="my-model")
        truth_id = st.selectbox(
            "Truth of its studies",
            [*sources.truths, _OTHER],
            format_func=lambda key: sources.truths[key].label if key else "another truth …",
            key="ev_import_truth",
        )
        truth_path = ""
        if truth_id == _OTHER:
            truth_path = st.text_input(
                "Path of the truth: a data root or a train.csv", key="ev_import_truth_path"
            ).strip()
        ready = bool(name.strip() and (upload or folder.strip()) and (truth_id or truth_path))
        if st.button("Add", type="primary", disabled=not ready, key="ev_import_add"):
            try:
                truth = typed_path(truth_path)
                if upload is not None:
                    content = content_of(arrived(upload), MAX_CSV_MIB)
                    added = import_csv(
                        settings(), name, content, truth_id=truth_id, truth_path=truth
                    )
                else:
                    added = import_folder(
                        settings(), name, typed_path(folder) or Path(), truth_id=truth_id,
                        truth_path=truth,
                    )  # fmt: skip
            except CSpineError as error:
                show_error(error, icon=":material/error:")
                return
            state.leave_message(f"{added.name} was added; choose it among the models.")
            st.rerun()
        _forget_button(sources)


def _forget_button(sources: Sources) -> None:
    imported = {
        model.source_id.removeprefix("import."): model.label
        for model in sources.models.values()
        if model.kind == "import"
    }
    if not imported:
        return
    st.divider()
    chosen = st.selectbox(
        "Imported models", list(imported), format_func=lambda key: imported[key], key="ev_forget"
    )
    if st.button("Remove", key="ev_forget_button") and succeeds(
        lambda: forget_import(settings(), chosen)
    ):
        st.rerun()

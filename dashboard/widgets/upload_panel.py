"""Upload of a study as a zip archive or a folder of DICOM files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.session import state
from dashboard.session.settings import settings
from dashboard.studies.held_uploads import hold_uploads
from dashboard.studies.incoming_files import arrived
from dashboard.studies.upload_jobs import start_upload
from dashboard.studies.uploads import Arrived
from dashboard.widgets.frame import blank
from dashboard.widgets.upload_outcome import upload_outcome

ARCHIVE, FILES = "Zip", "Folder of files"


def upload_panel(messages: DeltaGenerator) -> Path | None:
    """Let the user upload a series; its folder once it has been read, else None.

    Args:
        messages: Container for progress and errors.
    """
    kind = st.segmented_control(
        "Upload as", [ARCHIVE, FILES], default=ARCHIVE, required=True, key="upload_kind",
        persist_state="session",
    )  # fmt: skip
    files, key = _files(archive=kind == ARCHIVE)
    if not files:
        with messages:
            blank(
                "Choose one DICOM series above: as a zip, or the folder that holds its files. It "
                "is read at once, and only this browser session can see it."
            )
        return None
    hold_uploads(state.session_name())
    # Remembered, so that a rerun does not unpack it again.
    before, known = state.recall(state.UPLOAD_KEY, ("", None))
    if before != key or known.removed:
        known = start_upload(
            key,
            files,
            archive=kind == ARCHIVE,
            session=state.session_name(),
            settings=settings(),
        )
        state.remember(state.UPLOAD_KEY, (key, known))
    with messages:
        return upload_outcome(known, "Remove the file above, or choose another one.")


def _files(*, archive: bool) -> tuple[Sequence[Arrived], str]:
    """The uploaded files and a key for them."""
    limit = settings().max_upload_mib
    note = (
        "Stored below var/uploads on the machine that runs the dashboard, visible to this browser "
        "session only; deleted with your next upload and when you close the page."
    )
    if archive:
        one = st.file_uploader(
            f"Zip of one DICOM series, up to {limit} MiB", type="zip", max_upload_size=limit,
            key="upload", help=note,
        )  # fmt: skip
        return ([arrived(one)], one.file_id) if one is not None else ([], "")
    many = st.file_uploader(
        f"Folder of one DICOM series, up to {limit} MiB in all",
        accept_multiple_files="directory",
        max_upload_size=limit,
        key="upload_files",
        help=note,
    )
    return [arrived(file) for file in many], " ".join(file.file_id for file in many)

"""What became of an upload: its progress, its error, or the folder of the series."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.studies.upload_jobs import UploadJob
from dashboard.widgets.job_status import job_progress, poll
from dashboard.widgets.notices import show_error


def upload_outcome(upload: UploadJob, remedy: str) -> Path | None:
    """Show an upload's progress or error; return its folder once it has been read.

    Args:
        upload: The upload.
        remedy: What to do after it was cancelled, a sentence.
    """
    if not upload.job.finished:
        poll(lambda: _progress(upload), every=0.3)
        return None
    if upload.job.error is not None and upload.job.cancelled:
        st.info(
            f"The upload was cancelled and its files were deleted. {remedy}",
            icon=":material/stop_circle:",
        )
        return None
    if upload.job.error is not None:
        show_error(upload.job.error, icon=":material/folder_zip:")
        return None
    return upload.folder


def _progress(upload: UploadJob) -> bool:
    stage, unit = upload.stages[upload.stage]
    step = f"Step {upload.stage + 1} of {len(upload.stages)}: {stage.lower()}"
    return job_progress(
        upload.job, f"{step}, {unit} {{done}} of {{total}} …", starting=f"{step} …",
        stage=(upload.stage, len(upload.stages)), cancel=upload.job.cancel, key="upload_cancel",
    )  # fmt: skip

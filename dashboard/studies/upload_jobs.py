"""Uploads processed in the background, with progress by stage and cancellation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import streamlit as st

from core.config import Settings
from core.errors import ArchiveError
from core.types import Progress
from dashboard.background.budget import UPLOAD_JOBS
from dashboard.background.job import Job, JobCancelledError
from dashboard.background.thread_jobs import JobPool
from dashboard.session.access import check_allowed
from dashboard.session.session_end import whose
from dashboard.studies.confined import start_reader
from dashboard.studies.open_study import open_study
from dashboard.studies.uploads import (
    Arrived,
    discard_uploads,
    store_files,
    unpack_upload,
    within_quota,
)

STAGES = (("Unpacking", "file"), ("Reading the series", "slice"))
"""Name of each stage and the unit of its progress."""


@dataclass(slots=True, eq=False)
class UploadJob:
    """One upload in progress.

    Attributes:
        stage: Index into `STAGES`.
        job: Background job; its result is the folder of the series.
    """

    stage: int = 0
    job: Job[Path] = field(init=False)

    @property
    def folder(self) -> Path | None:
        """Folder of the series; None before the upload is complete."""
        done = self.job.finished and self.job.error is None
        return self.job.result() if done else None

    @property
    def removed(self) -> bool:
        """Whether the files were removed meanwhile, for example while the browser was offline."""
        folder = self.folder
        return self.job.abandoned or (folder is not None and not folder.is_dir())


def start_upload(
    key: str, files: Sequence[Arrived], *, archive: bool, session: str, settings: Settings
) -> UploadJob:
    """Store an upload and read its series, in the background.

    Args:
        key: Name of the upload; each upload is processed once.
        files: One zip archive, or the files of a folder.
        archive: Whether it is an archive.
        session: Session of the browser that uploads; only it may see the study.
        settings: Upload folder and size limits.

    Raises:
        ArchiveError: The user may not use this server.
    """
    check_allowed("look", ArchiveError, "to upload")
    upload = UploadJob()

    def work(progress: Progress) -> Path:
        try:
            return store(progress)
        except JobCancelledError:
            discard_uploads(session, settings)
            raise

    def store(progress: Progress) -> Path:
        start_reader("upload", settings)
        if archive:
            folder = unpack_upload(files[0], session=session, settings=settings, progress=progress)
        else:
            folder = store_files(files, session=session, settings=settings, progress=progress)
        upload.stage = 1
        progress(0, 0)
        open_study(folder, owner=session, progress=within_quota(session, settings, progress))
        return folder

    upload.job = _pool(settings.upload_lanes).submit(key, work, **whose(session))
    return upload


@st.cache_resource(show_spinner=False)
def _pool(lanes: int) -> JobPool:
    return JobPool("uploads", replace(UPLOAD_JOBS, at_once=lanes))

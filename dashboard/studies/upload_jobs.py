"""Uploads processed in the background, with progress by stage and cancellation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

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

Stage = tuple[str, str]
"""Name of a stage, and the unit of its progress."""
STORING: Final[Stage] = ("Unpacking", "file")
READING: Final[Stage] = ("Reading the series", "slice")


@dataclass(slots=True, eq=False)
class UploadJob:
    """One upload in progress.

    Attributes:
        stages: What is done, one after the other.
        stage: Index of the current one.
        job: Background job; its result is the folder of the series.
    """

    stages: tuple[Stage, ...] = (STORING, READING)
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

    def store(progress: Progress) -> Path:
        if archive:
            return unpack_upload(files[0], session=session, settings=settings, progress=progress)
        return store_files(files, session=session, settings=settings, progress=progress)

    return start_storing(key, store, STORING, session=session, settings=settings)


def start_storing(
    key: str,
    store: Callable[[Progress], Path],
    stage: Stage,
    *,
    session: str,
    settings: Settings,
) -> UploadJob:
    """Store the files of a series in a session's folder and read them, in the background.

    Args:
        key: Name of the work; each is done once.
        store: Stores the files and returns their folder, with progress.
        stage: What that is called.
        session: As for `start_upload`.
        settings: As for `start_upload`.
    """
    upload = UploadJob((stage, READING))

    def work(progress: Progress) -> Path:
        try:
            return stored(progress)
        except JobCancelledError:
            discard_uploads(session, settings)
            raise

    def stored(progress: Progress) -> Path:
        start_reader("upload", settings)
        folder = store(progress)
        upload.stage = 1
        progress(0, 0)
        open_study(folder, owner=session, progress=within_quota(session, settings, progress))
        return folder

    upload.job = _pool(settings.upload_lanes).submit(key, work, **whose(session))
    return upload


@st.cache_resource(show_spinner=False)
def _pool(lanes: int) -> JobPool:
    return JobPool("uploads", replace(UPLOAD_JOBS, at_once=lanes))

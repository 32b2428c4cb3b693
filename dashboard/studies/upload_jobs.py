"""Uploads taken in by the background, stage by stage, so that they can be watched and cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from core.config import Settings
from core.types import Progress
from dashboard.background.thread_jobs import Job, JobCancelledError, JobPool
from dashboard.studies.open_study import open_study
from dashboard.studies.upload_series import start_reader
from dashboard.studies.uploads import discard_uploads, store_files, unpack_upload

STAGES = (("Unpacking", "file"), ("Reading the series", "slice"))
"""What is done, and what its progress counts."""


@dataclass(slots=True, eq=False)
class UploadJob:
    """One upload on its way to a study.

    Attributes:
        stage: Index into `STAGES`.
        job: The work; its result is the folder that holds the series.
    """

    stage: int = 0
    job: Job[Path] = field(init=False)

    @property
    def folder(self) -> Path | None:
        """Holds the series once it was taken in."""
        done = self.job.finished and self.job.error is None
        return self.job.future.result() if done else None

    @property
    def gone(self) -> bool:
        """Whether its files were removed since, as when the browser was away for a while."""
        folder = self.folder
        return folder is not None and not folder.is_dir()


def take_in(
    key: str, files: Sequence[BinaryIO], *, archive: bool, session: str, settings: Settings
) -> UploadJob:
    """Store an upload and read its series, in the background.

    Args:
        key: Names the upload; the same one is taken in once.
        files: One zip archive, or the files of a folder.
        archive: Which of the two.
        session: Of the browser that uploads; the study is its own.
        settings: Where to, and how large the files may be.
    """
    upload = UploadJob()

    def work(progress: Progress) -> Path:
        try:
            return take(progress)
        except JobCancelledError:
            discard_uploads(session, settings)
            raise

    def take(progress: Progress) -> Path:
        start_reader(settings)
        if archive:
            folder = unpack_upload(files[0], session=session, settings=settings, progress=progress)
        else:
            folder = store_files(files, session=session, settings=settings, progress=progress)
        upload.stage = 1
        progress(0, 0)
        open_study(folder, owner=session, progress=progress)
        return folder

    upload.job = _pool().submit(key, work)
    return upload


@st.cache_resource(show_spinner=False)
def _pool() -> JobPool:
    return JobPool("uploads")

"""An upload in the background: its stages are counted, and a cancelled one leaves nothing."""

from __future__ import annotations

import time

import pytest

from core.dicom.series import read_series
from dashboard.session import session_end
from dashboard.studies import open_study, upload_jobs
from dashboard.studies.upload_jobs import READING, start_upload
from tests.dashboard.studies.test_uploads import settings, zipped

__all__ = ["settings"]


def ended(upload):
    deadline = time.monotonic() + 20
    while not upload.job.finished:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return upload


def watched(monkeypatch, act):
    """Have `act(done, total)` called for every slice that is read.

    Read here: the process that reads uploads tells of a few slices a second only.
    """

    def reading(folder, session, settings, progress=None):
        def step(done, total):
            act(done, total)
            if progress is not None:
                progress(done, total)

        del session, settings
        return read_series(folder, jobs=1, progress=step)

    monkeypatch.setattr(open_study, "read_upload", reading)


def kept(settings, session):
    return list((settings.cspine_var / "uploads" / session).rglob("*.dcm"))


def test_the_slices_read_are_counted(tmp_path, settings, monkeypatch):
    seen = []
    watched(monkeypatch, lambda done, total: seen.append((done, total)))
    upload = start_upload(
        "counted", [zipped(tmp_path, 11)], archive=True, session="a", settings=settings
    )
    assert ended(upload).job.error is None
    assert upload.folder is not None
    assert upload.stages[upload.stage] == READING
    assert seen == [(k, 5) for k in range(1, 6)]
    assert (upload.job.done, upload.job.total) == (5, 5)
    assert len(kept(settings, "a")) == 5


def test_reading_ends_at_the_slice_where_it_is_cancelled(tmp_path, settings, monkeypatch):
    seen, uploads = [], []

    def cancel(done, total):
        seen.append(done)
        if done == 2:
            while not uploads:
                time.sleep(0.01)
            uploads[0].job.cancel()

    watched(monkeypatch, cancel)
    uploads.append(
        start_upload("cut", [zipped(tmp_path, 12)], archive=True, session="b", settings=settings)
    )
    assert "cancelled" in ended(uploads[0]).job.error
    assert seen == [1, 2]
    assert uploads[0].folder is None
    assert kept(settings, "b") == []


def test_copying_the_archive_can_be_cancelled_too(tmp_path, settings):
    uploads = []
    stream = zipped(tmp_path, 13)
    read = stream.read

    class Slow:
        def seek(self, *place):
            return stream.seek(*place)

        def tell(self):
            return stream.tell()

        def read(self, size):
            while not uploads:
                time.sleep(0.01)
            uploads[0].job.cancel()
            return read(size)

    uploads.append(start_upload("copy", [Slow()], archive=True, session="c", settings=settings))
    assert "cancelled" in ended(uploads[0]).job.error
    folder = settings.cspine_var / "uploads" / "c"
    assert list(folder.iterdir()) == []


@pytest.fixture(autouse=True)
def no_memory():
    upload_jobs._pool.clear()
    open_study.OPEN_STUDIES.clear()


@pytest.fixture
def closed(monkeypatch, settings):
    """Ends a session as the server does."""
    monkeypatch.setenv("CSPINE_VAR", str(settings.cspine_var))
    monkeypatch.setattr(session_end, "_ended", {})

    def close(session):
        session_end._ended[session] = None
        session_end.forget_session(session)

    return close


def test_an_upload_that_a_closed_page_still_starts_is_not_stored(tmp_path, settings, closed):
    """The page's script may run on for seconds after its tab is gone."""
    closed("late")
    upload = start_upload(
        "late", [zipped(tmp_path, 13)], archive=True, session="late", settings=settings
    )
    assert "cancelled" in ended(upload).job.error
    assert upload.removed
    assert not (settings.cspine_var / "uploads" / "late").exists()


def test_what_is_written_while_a_session_ends_is_removed(tmp_path, settings, closed, monkeypatch):
    def end(done, total):
        if done == 2:
            closed("going")

    watched(monkeypatch, end)
    upload = start_upload(
        "going", [zipped(tmp_path, 14)], archive=True, session="going", settings=settings
    )
    ended(upload)
    deadline = time.monotonic() + 10
    while (settings.cspine_var / "uploads" / "going").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert upload.removed

"""A series from a DICOM server is an upload of its session: same folder, same end."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import Settings
from core.dicom.series import read_series
from core.dicomweb.search import StudyQuery
from core.errors import CSpineError, DicomWebError
from dashboard.session import session_end
from dashboard.studies import dicom_servers, open_study, upload_jobs
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.dashboard.studies.test_upload_jobs import ended
from tests.orthanc import NAME, orthanc

__all__ = ["orthanc"]

STUDY = "1.2.826.0.21"


@pytest.fixture
def archive(orthanc, tmp_path, monkeypatch):
    """The folder of a series that the server has; the environment names the server."""
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path / "var"))
    for name, value in orthanc.environment.items():
        monkeypatch.setenv(name, value)
    for file in write_ct_series(tmp_path / "made", made_hu(5), study_uid=STUDY):
        orthanc.put(file)
    upload_jobs._pool.clear()
    open_study.OPEN_STUDIES.clear()
    return tmp_path / "made"


def fetch(key, session, series=None, **limits):
    (found,) = dicom_servers.search_study(NAME, STUDY)
    return ended(
        dicom_servers.start_fetch(
            key, NAME, series or found, session=session, settings=Settings(**limits)
        )
    )


@pytest.mark.slow
def test_a_fetched_series_is_read_and_goes_with_its_session(archive, monkeypatch):
    (found,) = dicom_servers.search_server(NAME, StudyQuery("MADE-UP"), 0).studies
    assert found.uid == STUDY
    upload = fetch("one", "a")
    assert upload.job.error is None
    assert upload.folder is not None
    original = read_series(archive, jobs=1)
    own = open_study.open_study(upload.folder, owner="a")
    assert np.array_equal(own.volume.hu, original.hu)
    place = Settings().cspine_var / "uploads" / "a"
    assert place in upload.folder.parents
    assert place.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(session_end, "_ended", {"a": None})
    session_end.forget_session("a")
    assert not place.exists()
    assert upload.removed


def test_limits_and_cancelling_leave_nothing(archive, monkeypatch):
    upload = fetch("large", "b", upload_quota_gib=1e-9)
    assert "UPLOAD_QUOTA_GIB" in str(upload.job.error)

    def cancel(*_, progress, **__):
        while not jobs:
            pass
        jobs[0].job.cancel()
        progress(0, 0)

    jobs = []
    monkeypatch.setattr(dicom_servers, "fetch_series", cancel)
    (found,) = dicom_servers.search_study(NAME, STUDY)
    settings = Settings()
    jobs.append(dicom_servers.start_fetch("cut", NAME, found, session="b", settings=settings))
    assert "cancelled" in str(ended(jobs[0]).job.error)
    assert not list((settings.cspine_var / "uploads").rglob("*.dcm"))


def test_only_names_of_the_list_are_servers(archive):
    with pytest.raises(DicomWebError, match="choose one of DICOMWEB_SERVERS"):
        dicom_servers.search_server("http://127.0.0.1:1", StudyQuery(), 0)


def test_objects_that_cannot_be_made_are_an_error_of_the_job(archive):
    class MadeUpError(CSpineError):
        """Something went wrong."""

    def fail():
        raise MadeUpError("No report.")

    job = dicom_servers.start_sending("bad", NAME, fail, owner=None)
    with pytest.raises(MadeUpError):
        job.result()

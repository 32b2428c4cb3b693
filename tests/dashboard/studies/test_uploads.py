from __future__ import annotations

import io
import os
import time
import zipfile

import pytest

from core.config import Settings
from core.dicom.series import read_series
from core.errors import ArchiveError, StorageError
from dashboard.studies.uploads import store_files, unpack_upload
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(cspine_var=tmp_path / "var", max_upload_mib=1)


def zipped(tmp_path, seed=0) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in write_ct_series(tmp_path / f"series{seed}", made_hu(seed=seed)):
            archive.write(path, f"study/{path.name}")
    return stream


def test_an_archive_becomes_a_folder_that_can_be_read(tmp_path, settings):
    folder = unpack_upload(zipped(tmp_path), session="s", settings=settings)
    assert settings.cspine_var / "uploads" / "s" in folder.parents
    assert read_series(folder, jobs=1).n_slices == 5
    assert not list((settings.cspine_var / "uploads").rglob("*.zip"))


@pytest.mark.parametrize("kind", ["archive", "files"])
def test_only_the_servers_user_may_look_into_an_upload(tmp_path, settings, kind):
    own = settings.cspine_var / "uploads" / "s"
    own.mkdir(parents=True)  # As an earlier version made it.
    if kind == "archive":
        unpack_upload(zipped(tmp_path), session="s", settings=settings)
    else:
        store_files([io.BytesIO(b"x")], session="s", settings=settings)
    assert own.stat().st_mode & 0o777 == 0o700


def test_the_next_upload_of_a_session_replaces_its_last(tmp_path, settings):
    first = unpack_upload(zipped(tmp_path, 1), session="s", settings=settings)
    other = unpack_upload(zipped(tmp_path, 1), session="t", settings=settings)
    second = unpack_upload(zipped(tmp_path, 2), session="s", settings=settings)
    assert not first.exists()
    assert second.exists()
    assert other.exists()


def test_sessions_older_than_a_day_are_removed(tmp_path, settings):
    stale = unpack_upload(zipped(tmp_path, 1), session="old", settings=settings)
    yesterday = time.time() - 25 * 3600
    os.utime(settings.cspine_var / "uploads" / "old", (yesterday, yesterday))
    unpack_upload(zipped(tmp_path, 2), session="new", settings=settings)
    assert not stale.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip at all"])
def test_what_is_no_archive_leaves_a_typed_error_and_no_files(settings, content):
    with pytest.raises(ArchiveError):
        unpack_upload(io.BytesIO(content), session="s", settings=settings)
    assert not list((settings.cspine_var / "uploads" / "s").iterdir())


def test_an_archive_that_swells_beyond_the_limit_is_refused(settings):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", bytes(6 << 20))
    with pytest.raises(ArchiveError):
        unpack_upload(stream, session="s", settings=settings)


def test_an_upload_beyond_the_quota_is_refused_before_it_is_written(tmp_path):
    settings = Settings(cspine_var=tmp_path, upload_quota_gib=3000 / (1 << 30), min_free_gib=0)
    store_files([io.BytesIO(bytes(2000))], session="one", settings=settings)
    with pytest.raises(StorageError, match="UPLOAD_QUOTA_GIB"):
        store_files([io.BytesIO(bytes(2000))], session="two", settings=settings)
    assert not (tmp_path / "uploads" / "two").exists()
    # A session's next upload takes the place of its last.
    again = store_files([io.BytesIO(bytes(2500))], session="one", settings=settings)
    assert sum(file.stat().st_size for file in again.parent.rglob("*.dcm")) == 2500


def test_an_upload_is_refused_where_the_disk_would_fill_up(tmp_path):
    settings = Settings(cspine_var=tmp_path, min_free_gib=1e9)
    for take in (unpack_upload, lambda stream, **more: store_files([stream], **more)):
        with pytest.raises(StorageError, match="MIN_FREE_GIB"):
            take(io.BytesIO(b"PK"), session="one", settings=settings)
    assert list(tmp_path.rglob("*")) == []

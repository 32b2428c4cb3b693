"""What is kept of a series in the usual orientation stays; of others it is made again."""

from __future__ import annotations

from core.cache.keys import file_digest, fingerprint_folder, named_folder_digest, remembered_digest
from core.dicom.series import read_series
from core.prepared import series_digests
from core.prepared.series_digests import oriented_digest, series_digest, study_digests
from core.types import StudyRecord
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


def test_the_digest_of_an_axial_series_is_that_of_its_content(tmp_path):
    write_ct_series(tmp_path / "s", made_hu(3))
    (tmp_path / "m").write_text("mask")
    cache = tmp_path / "cache"
    for digest in (fingerprint_folder, named_folder_digest):
        assert series_digest(tmp_path / "s", digest, cache) == digest(tmp_path / "s")
    assert study_digests(StudyRecord("1", tmp_path / "s", mask_file=tmp_path / "m"), cache) == {
        "series": remembered_digest(tmp_path / "s", fingerprint_folder, cache),
        "mask": file_digest(tmp_path / "m"),
    }


def test_a_turned_series_has_another_digest_and_headers_are_read_once(tmp_path, monkeypatch):
    write_ct_series(tmp_path / "s", made_hu(3), orientation=(-1, 0, 0, 0, -1, 0))
    plain = fingerprint_folder(tmp_path / "s")
    found = series_digest(tmp_path / "s", fingerprint_folder, tmp_path / "cache")
    assert found != plain
    assert len(found) == 64
    assert found == oriented_digest(plain, read_series(tmp_path / "s").axes)
    monkeypatch.setattr(series_digests, "series_axes", None)
    assert series_digest(tmp_path / "s", fingerprint_folder, tmp_path / "cache") == found


def test_a_folder_that_cannot_be_read_has_the_digest_of_its_content(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "1.dcm").write_text("no DICOM")
    assert series_digest(tmp_path / "s", fingerprint_folder, tmp_path / "cache") == (
        fingerprint_folder(tmp_path / "s")
    )

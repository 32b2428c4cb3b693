"""Search, fetch and store against a real server."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pydicom
import pytest

from core.config import Settings
from core.dicom.series import read_series
from core.dicomweb import search
from core.dicomweb.retrieve import fetch_series
from core.dicomweb.search import StudyQuery, search_series, search_studies
from core.dicomweb.servers import find_server
from core.dicomweb.store import send_objects
from core.errors import DicomWebError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series
from tests.orthanc import NAME

SYNTAXES = ("explicit", "implicit", "jpeg-lossless", "jpeg2000")


@pytest.fixture(scope="module")
def archive(orthanc, tmp_path_factory):
    """The server with one study per transfer syntax, each of another day; folders by syntax."""
    folders = {}
    for number, syntax in enumerate(SYNTAXES):
        folder = tmp_path_factory.mktemp("made") / syntax

        def name(ds, _, number=number):
            ds.StudyDate = f"2024010{number + 1}"
            ds.PatientID = f"SEARCH-{number}"
            ds.StudyDescription = "Neck"

        files = write_ct_series(
            folder, made_hu(5, seed=number), syntax=syntax, bits_stored=12, edit=name,
            study_uid=f"1.2.826.0.9.{number}",
        )  # fmt: skip
        for file in files:
            orthanc.put(file)
        folders[syntax] = folder
    return folders


@pytest.fixture
def server(orthanc, archive, monkeypatch):
    for variable, value in orthanc.environment.items():
        monkeypatch.setenv(variable, value)
    return find_server(Settings(), NAME)


def test_studies_are_found_by_patient_and_date_and_in_pages(server, monkeypatch):
    found = search_studies(server, StudyQuery("SEARCH-*")).studies
    assert {one.patient_id for one in found} == {f"SEARCH-{k}" for k in range(4)}
    (one,) = search_studies(server, StudyQuery("SEARCH-2")).studies
    assert (one.uid, one.date, one.description) == ("1.2.826.0.9.2", "2024-01-03", "Neck")
    days = StudyQuery("SEARCH-*", date(2024, 1, 2), date(2024, 1, 3))
    assert {one.date for one in search_studies(server, days).studies} == {
        "2024-01-02",
        "2024-01-03",
    }
    monkeypatch.setattr(search, "PAGE_SIZE", 3)
    pages = [search_studies(server, StudyQuery("SEARCH-*"), number) for number in (0, 1)]
    assert [(len(page.studies), page.more) for page in pages] == [(3, True), (1, False)]
    assert {study for page in pages for study in page.studies} == set(found)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_fetched_series_has_the_voxels_of_the_original(server, archive, tmp_path, syntax):
    original = read_series(archive[syntax], jobs=1)
    (series,) = search_series(server, original.study_uid)
    assert series.images == 5
    count = fetch_series(server, series, tmp_path / "out", max_mib=1)
    fetched = read_series(tmp_path / "out", jobs=1)
    assert count == 5
    assert np.array_equal(fetched.hu, original.hu)
    assert fetched.study_uid == original.study_uid
    assert fetched.spacing_mm == original.spacing_mm
    kinds = [
        {pydicom.dcmread(file).file_meta.TransferSyntaxUID for file in folder.iterdir()}
        for folder in (archive[syntax], tmp_path / "out")
    ]
    assert kinds[0] == kinds[1]


def test_what_is_sent_is_stored_as_it_was(server, orthanc, tmp_path):
    sent = {
        path.read_bytes()
        for path in write_ct_series(tmp_path / "made", made_hu(2), study_uid="1.2.826.0.10")
    }
    send_objects(server, sorted(sent))
    stored = [content for _, content in orthanc.objects("1.2.826.0.10")]
    assert len(stored) == 2
    pixels = {pydicom.dcmread(pydicom.filebase.DicomBytesIO(one)).PixelData for one in sent}
    assert {
        pydicom.dcmread(pydicom.filebase.DicomBytesIO(one)).PixelData for one in stored
    } == pixels


def test_a_wrong_login_and_an_unknown_study_are_sentences(server, archive):
    with pytest.raises(DicomWebError, match="status 401; check its login"):
        search_studies(replace(server, password="wrong"), StudyQuery())
    with pytest.raises(DicomWebError, match=r"no CT series|status 404"):
        search_series(server, "1.2.3.4.5.6.7.8.9")

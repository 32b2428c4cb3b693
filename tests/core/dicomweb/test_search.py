from __future__ import annotations

import json
from datetime import date
from urllib.parse import parse_qs, urlsplit

import pytest

from core.dicomweb.search import FoundStudy, StudyQuery, search_series, search_studies
from core.errors import DicomWebError


def item(**values):
    tags = {
        "study": "0020000D", "series": "0020000E", "patient": "00100020", "date": "00080020",
        "description": "00081030", "modalities": "00080061", "modality": "00080060",
        "images": "00201209", "series_description": "0008103E",
    }  # fmt: skip
    return {tags[name]: {"vr": "LO", "Value": [value]} for name, value in values.items()}


def asked(answering):
    return parse_qs(urlsplit(answering.asked[-1][0]).query)


def test_the_query_goes_out_in_the_words_of_the_standard(answering):
    answering.says(b"[]")
    query = StudyQuery(" DOE*&x=1 ", date(2024, 1, 2), date(2024, 3, 4))
    assert search_studies(answering.server, query, 2).studies == ()
    sent = asked(answering)
    assert sent["ModalitiesInStudy"] == ["CT"]
    assert sent["PatientID"] == ["DOE*&x=1"]
    assert sent["StudyDate"] == ["20240102-20240304"]
    assert (sent["limit"], sent["offset"]) == (["21"], ["40"])
    search_studies(answering.server, StudyQuery(last=date(2024, 3, 4)))
    assert asked(answering)["StudyDate"] == ["-20240304"]


def test_studies_are_described_and_others_left_out(answering):
    found = [
        item(study="1.2", patient="P\n1", date="20240102", description="Neck", modalities="CT"),
        item(study="1.3", modalities="MR"),
        item(study="1.4", patient=None),
    ]
    answering.says(json.dumps(found).encode())
    page = search_studies(answering.server, StudyQuery())
    assert page.studies == (
        FoundStudy("1.2", "P1", "2024-01-02", "Neck"),
        FoundStudy("1.4", "", "", ""),
    )
    assert not page.more


def test_a_server_that_sends_more_than_was_asked_for_fills_one_page(answering):
    answering.says(json.dumps([item(study=f"1.{k}") for k in range(1, 100)]).encode())
    page = search_studies(answering.server, StudyQuery())
    assert (len(page.studies), page.more) == (20, True)


def test_series_with_most_images_come_first(answering):
    found = [
        item(series="1.2.1", modality="CT", images=2),
        item(series="1.2.2", modality="CT", images="300", series_description="Bone"),
        item(series="1.2.3", modality="SR", images=900),
        item(series="1.2.4", modality="CT"),
    ]
    answering.says(json.dumps(found).encode())
    series = search_series(answering.server, "1.2")
    assert [(one.uid, one.images) for one in series] == [("1.2.2", 300), ("1.2.1", 2), ("1.2.4", 0)]
    assert series[0].description == "Bone"
    answering.says(b"[]")
    with pytest.raises(DicomWebError, match="no CT series"):
        search_series(answering.server, "1.2")

from __future__ import annotations

import json

import pytest

from core.dicomweb.store import send_objects
from core.errors import DicomWebError
from tests.core.dicom.dicom_factory import made_hu, write_ct_series


@pytest.fixture
def objects(tmp_path):
    return [path.read_bytes() for path in write_ct_series(tmp_path / "made", made_hu(3))]


def test_objects_go_out_one_by_one(answering, objects):
    answering.says(b"{}")
    seen = []
    send_objects(answering.server, objects, lambda *step: seen.append(step))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert [path for path, _ in answering.asked] == ["/dicom-web/studies"] * 3


def test_an_object_that_is_not_stored_is_one_sentence(answering, objects):
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [272]}}]}}
    answering.says(json.dumps(failed).encode(), status=202)
    with pytest.raises(DicomWebError, match="did not store object 1 of 3"):
        send_objects(answering.server, objects)
    answering.says(b"{}", status=409)
    with pytest.raises(DicomWebError, match="status 409"):
        send_objects(answering.server, objects)


def test_objects_are_not_sent_to_another_host(answering, make_answering, objects):
    other = make_answering()
    other.says(b"{}")
    answering.sends_to(other.url)
    with pytest.raises(DicomWebError, match="another address"):
        send_objects(answering.server, objects)
    assert other.asked == []

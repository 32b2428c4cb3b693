from __future__ import annotations

import pytest

from core.dicomweb.retrieve import fetch_series
from core.dicomweb.search import FoundSeries
from core.errors import CSpineError, DicomWebError, StorageError

SERIES = FoundSeries("1.2.3", "1.2.3.4", "", 2)
KIND = 'multipart/related; type="application/dicom"; boundary=xyz'


def dicom(size=400):
    return bytes(128) + b"DICM" + b"x" * size


def body(*contents):
    parts = [
        b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in contents
    ]
    return b"".join(parts) + b"--xyz--"


def fetch(answering, out, max_mib=1, progress=None):
    return fetch_series(answering.server, SERIES, out, max_mib=max_mib, progress=progress)


def test_files_are_written_as_they_were_sent(answering, tmp_path):
    contents = [dicom(), dicom(200_000)]
    answering.says(body(*contents), KIND)
    seen = []
    assert fetch(answering, tmp_path / "out", progress=lambda *step: seen.append(step)) == 2
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["00000.dcm", "00001.dcm"]
    assert [file.read_bytes() for file in files] == contents
    assert seen[0] == (0, 2)
    assert seen[-1] == (2, 2)
    path, headers = answering.asked[0]
    assert path == "/dicom-web/studies/1.2.3/series/1.2.3.4"
    assert headers["accept"].endswith("transfer-syntax=*")
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (body(dicom(), dicom(1 << 20)), "larger than 1 MiB"),
        (body(dicom(), b"x" * 400), "no DICOM file"),
        (body(dicom(), b""), "no DICOM file"),
        (body(), "no image"),
        (body(dicom(), dicom())[:-30], "ended before"),
    ],
)
def test_what_is_no_whole_series_leaves_nothing(answering, tmp_path, content, why):
    answering.says(content, KIND)
    with pytest.raises(DicomWebError, match=why):
        fetch(answering, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_answer_without_an_end_stops_at_the_limit(answering, tmp_path):
    sent = []

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", KIND)
        handler.end_headers()
        handler.wfile.write(b"--xyz\r\n\r\n" + dicom())
        try:
            for _ in range(1_000):
                handler.wfile.write(b" " * (1 << 18))
                sent.append(1)
        except OSError:
            pass

    answering.answer = answer
    with pytest.raises(DicomWebError, match="larger than 2 MiB"):
        fetch(answering, tmp_path / "out", max_mib=2)
    assert len(sent) < 200
    assert list(tmp_path.iterdir()) == []


def test_too_many_images_stop_the_work(answering, tmp_path, monkeypatch):
    monkeypatch.setattr("core.dicomweb.retrieve.MOST_IMAGES", 2)
    answering.says(body(*[dicom()] * 3), KIND)
    with pytest.raises(DicomWebError, match="more than 2 images"):
        fetch(answering, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


class StopError(CSpineError):
    """The work was stopped."""


def test_work_that_is_stopped_leaves_nothing(answering, tmp_path):
    answering.says(body(dicom(), dicom(900_000)), KIND)

    def stop(done, total):
        del total
        if done:
            raise StopError

    with pytest.raises(StopError):
        fetch(answering, tmp_path / "out", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(answering, tmp_path):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", KIND)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(body(dicom())[:300])

    answering.answer = answer
    with pytest.raises(DicomWebError, match="broke off"):
        fetch(answering, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_left_as_it_is(answering, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(StorageError, match="is not empty"):
        fetch(answering, out)
    with pytest.raises(StorageError, match="is not empty"):
        fetch(answering, out / "mine")
    answering.says(body(dicom()), KIND)
    with pytest.raises(StorageError, match="Cannot write"):
        fetch(answering, out / "mine" / "below")
    assert [path.name for path in out.iterdir()] == ["mine"]


@pytest.mark.parametrize("uid", ["", "1.2/../../x", "1.2?x", "1" * 65, "//evil.example/"])
def test_only_a_uid_becomes_part_of_a_url(answering, tmp_path, uid):
    for series in (FoundSeries(uid, "1.2", "", 0), FoundSeries("1.2", uid, "", 0)):
        with pytest.raises(DicomWebError, match="is no UID"):
            fetch_series(answering.server, series, tmp_path / "out", max_mib=1)
    assert answering.asked == []


def test_a_redirect_to_another_host_is_not_followed(answering, make_answering, tmp_path):
    other = make_answering()
    other.says(body(dicom()), KIND)
    answering.sends_to(f"{other.url}/studies/1.2.3/series/1.2.3.4")
    with pytest.raises(DicomWebError, match="another address"):
        fetch(answering, tmp_path / "out")
    assert other.asked == []

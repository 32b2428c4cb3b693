"""Uploads over HTTP: only announced files, within limits, on disk, gone with the session."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from benchmarks.load_sessions import bring_own
from benchmarks.page_client import XSRF_COOKIE, PageClient
from tests.browser.server import serve

MIB = 1 << 20


@pytest.fixture(scope="module")
def upload_server(workplace, repo_root, tmp_path_factory):
    """Uploads of up to 2 MiB, of all sessions together up to 6 MiB; and where they are stored."""
    var = tmp_path_factory.mktemp("uploads")
    more = {"MAX_UPLOAD_MIB": "2", "UPLOAD_QUOTA_GIB": str(6 / 1024), "CSPINE_VAR": str(var)}
    limit = ("--server.maxUploadSize", "2")
    log = tmp_path_factory.mktemp("log") / "uploads.log"
    with serve(repo_root, workplace.environment | more, log, extra=limit) as url:
        yield url, var / "uploads"


def put(client: PageClient, file_id: str, content: bytes, session: str | None = None):
    return client.http.put(
        f"/_stcore/upload_file/{session or client.session_id}/{file_id}",
        files={"file": ("series.zip", content)},
        headers={"X-Xsrftoken": client.http.cookies.get(XSRF_COOKIE) or ""},
    )


def put_announced(client: PageClient, content: bytes):
    return put(client, client.announce("series.zip").file_id, content)


def comes_true(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stored(uploads: Path) -> list[Path]:
    return [path for path in uploads.rglob("*") if path.is_file() and ".sessions" not in path.parts]


def test_only_announced_files_are_accepted_each_once_and_from_their_session(upload_server):
    url, uploads = upload_server
    with PageClient(url) as client, PageClient(url) as other:
        client.open("diagnosis")
        other.open("diagnosis")
        for invented in (str(uuid.uuid4()), "..%2f..%2fx", "x" * 2000):
            assert put(client, invented, b"x" * MIB).status_code == 404
        assert put(client, str(uuid.uuid4()), b"x", session="nobody").status_code == 400
        announced = client.announce("series.zip").file_id
        assert put(other, announced, b"theirs").status_code == 404
        assert put(client, announced, b"mine").status_code == 204
        assert put(client, announced, b"again").status_code == 404
        assert [path.read_bytes() for path in stored(uploads)] == [b"mine"]


def test_a_session_and_all_together_have_only_so_many_bytes(upload_server):
    url, uploads = upload_server
    assert comes_true(lambda: not stored(uploads))
    with PageClient(url) as first, PageClient(url) as second:
        for client in (first, second):
            client.open("diagnosis")
        full = bytes(2 * MIB - 4096)
        assert put_announced(first, bytes(3 * MIB)).status_code == 413
        assert [put_announced(first, full).status_code for _ in range(3)] == [204, 204, 413]
        assert [put_announced(second, full).status_code for _ in range(2)] == [204, 503]
        assert sum(path.stat().st_size for path in stored(uploads)) == 3 * len(full)
    assert comes_true(lambda: not stored(uploads))


def test_a_broken_off_or_malformed_upload_leaves_nothing(upload_server):
    url, uploads = upload_server
    assert comes_true(lambda: not stored(uploads))
    with PageClient(url) as client:
        client.open("diagnosis")
        token = {"X-Xsrftoken": client.http.cookies.get(XSRF_COOKIE) or ""}
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        head = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        for body in (head + b"cut", b"no form at all", b"", head + b"1\r\n" + head + b"2\r\n--b--"):
            place = client.announce("a").upload_url
            answer = client.http.put(place, content=body, headers=token | kind)
            assert answer.status_code == 400

        def breaks_off():
            yield head + bytes(MIB)
            raise InterruptedError

        place = client.announce("a").upload_url
        with pytest.raises(InterruptedError):
            client.http.put(place, content=breaks_off(), headers=token | kind)
        assert comes_true(lambda: not stored(uploads))


def test_within_5_s_of_a_sessions_end_its_files_pixels_and_scenes_are_gone(upload_server):
    url, uploads = upload_server
    with PageClient(url) as client:
        viewer = bring_own(client, 3)
        place = f"{url}{viewer['path']}/{viewer['source']}/slice/3"
        proof = {"x-viewer-session": viewer["proof"]}
        answer = httpx.get(place, headers=proof)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert httpx.get(place).status_code == 404
        assert stored(uploads)
        assert mapped(url, uploads)
        # The first prediction of a server imports torch, which nothing can interrupt.
        assert comes_true(lambda: client.run() and not client.page.reruns, 60)
    end = time.monotonic()
    assert comes_true(lambda: httpx.get(place, headers=proof).status_code == 404)
    assert comes_true(lambda: not stored(uploads))
    assert comes_true(lambda: not mapped(url, uploads)), mapped(url, uploads)
    assert time.monotonic() - end < 5


def mapped(url: str, uploads: Path) -> set[str]:
    """Files below the uploads that the server maps into its memory."""
    from benchmarks.load_test import server_at

    maps = Path(f"/proc/{server_at(int(url.rsplit(':', 1)[1])).pid}/maps").read_text()
    return {line[line.index("/") :] for line in maps.splitlines() if str(uploads) in line}


def test_a_short_loss_of_the_connection_ends_nothing(upload_server):
    url, uploads = upload_server
    with PageClient(url) as client:
        viewer = bring_own(client, 4)
        client.reconnect(after=0.5)
        time.sleep(4)
        place = f"{viewer['path']}/{viewer['source']}/slice/3"
        answer = client.http.get(place, headers={"x-viewer-session": viewer["proof"]})
        assert answer.status_code == 200
        assert stored(uploads)


@pytest.mark.slow
def test_uploads_good_bad_and_abandoned_leave_no_memory_behind(workplace, repo_root, tmp_path):
    from benchmarks.upload_memory import measure_uploads

    environment = workplace.environment | {"CSPINE_VAR": str(tmp_path)}
    with serve(repo_root, environment, tmp_path / "log") as url:
        report = measure_uploads(url, uploads=16, mib=4, warm_up=8)
        assert report.unexpected == []
        # What the uploads weigh together is 64 MiB.
        assert report.growth_mib < 30
        assert comes_true(lambda: not stored(tmp_path / "uploads"))

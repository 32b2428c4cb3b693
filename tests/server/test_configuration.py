from __future__ import annotations

import socket
import tomllib

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.page_client import PageClient, PageError
from tests.browser.server import serve
from tests.server.conftest import host_of

PATHS = ["/", "/pixels/x/slice/0", "/scenes/x/parts", "/_stcore/host-config", "/media/x.png"]


def test_only_this_machine_reaches_it(open_server):
    port = int(host_of(open_server).split(":")[1])
    addresses = {
        one.laddr.ip
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }
    assert addresses == {"127.0.0.1"}


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_host_name_is_refused_everywhere(open_server, path):
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        answer = httpx.get(open_server + path, headers={"Host": host})
        assert answer.status_code == 400
        assert "ALLOWED_HOSTS" in answer.text
    assert httpx.get(open_server + path).status_code in (200, 404)


def test_the_health_check_answers_to_any_name(open_server):
    answer = httpx.get(open_server + "/_stcore/health", headers={"Host": "10.0.0.7:8501"})
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_websocket_from_elsewhere_is_refused(open_server):
    host, port = host_of(open_server).split(":")
    own, foreign = f"ws://{host}:{port}/_stcore/stream", "ws://evil.example/_stcore/stream"
    for url, origin in ((foreign, "http://evil.example"), (own, "https://evil.example")):
        wire = socket.create_connection((host, int(port)))
        with pytest.raises(InvalidStatus, match="403"), connect(url, sock=wire, origin=origin):
            pass


def test_other_origins_may_not_read(open_server):
    answer = httpx.get(open_server + "/_stcore/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_headers_keep_the_pages_to_themselves(open_server):
    for path in PATHS:
        headers = httpx.get(open_server + path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'self'"
        assert policy["object-src"] == "'none'"
        assert "unsafe-eval" not in policy["script-src"]
        assert not {"*", "http:", "https:"} & set(" ".join(policy.values()).split())


def test_an_upload_needs_the_token_and_keeps_the_limit(open_server):
    with PageClient(open_server) as client:
        client.open("diagnosis")
        source = client.find("button_group", "source")
        client.set(source.id, string_array_value=["Upload"])
        with pytest.raises(PageError, match="413"):
            client.upload("upload", "series.zip", bytes(2 << 20))
        client.http.cookies.clear()
        with pytest.raises(PageError, match="403"):
            client.upload("upload", "series.zip", b"small")


def test_nobody_counts_the_use_of_it(repo_root):
    config = tomllib.loads((repo_root / ".streamlit" / "config.toml").read_text())
    assert config["browser"]["gatherUsageStats"] is False
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True


def test_an_error_keeps_its_details_to_the_terminal(repo_root, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise ValueError('Doe^Jane was here')\n")
    log = tmp_path / "log"
    with serve(repo_root, {}, log, script=script) as url, PageClient(url) as client:
        shown = client.open("").of_kind("exception")
        assert len(shown) == 1
        assert "Doe" not in str(shown[0])
        assert str(tmp_path) not in str(shown[0])
    assert "Doe^Jane" in log.read_text()

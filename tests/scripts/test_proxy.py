from __future__ import annotations

import re
import shutil

import pytest

from scripts import proxy
from scripts.install import SetupError
from scripts.proxy import Endpoint, haproxy_config

PUBLIC = Endpoint("127.0.0.1", 8501)
WORKERS = [Endpoint("127.0.0.1", 8502), Endpoint("10.0.0.3", 8501)]


@pytest.fixture
def haproxy() -> str:
    try:
        return proxy.find_haproxy()
    except SetupError:
        pytest.skip("HAProxy is not installed (apt-get install haproxy).")


@pytest.mark.parametrize("base", ["", "/lab", "/a/b-1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::1]"])
def test_haproxy_accepts_the_configuration(haproxy, tmp_path, base, host):
    config = tmp_path / "haproxy.cfg"
    config.write_text(haproxy_config(Endpoint(host, 8501), WORKERS, base))
    proxy.check_config(haproxy, config)


def test_a_configuration_that_haproxy_refuses_is_one_sentence(haproxy, tmp_path):
    config = tmp_path / "haproxy.cfg"
    config.write_text(haproxy_config(PUBLIC, WORKERS).replace("balance leastconn", "balance luck"))
    with pytest.raises(SetupError, match="leastconn") as caught:
        proxy.check_config(haproxy, config)
    assert "\n" not in str(caught.value)


def test_every_worker_is_a_server_with_a_cookie_of_its_own():
    config = haproxy_config(PUBLIC, WORKERS)
    assert re.findall(r"server (\S+) (\S+) cookie (\S+)", config) == [
        ("w1", "127.0.0.1:8502", "w1"),
        ("w2", "10.0.0.3:8501", "w2"),
    ]


def test_groups_on_two_ports_of_one_host_have_two_cookies():
    def cookie(port):
        config = haproxy_config(Endpoint("127.0.0.1", port), WORKERS)
        return re.findall(r"cookie (\S+) insert", config)

    assert cookie(8601) != cookie(8701)


def test_health_checks_follow_the_base_path():
    config = haproxy_config(PUBLIC, WORKERS, "/lab")
    assert "uri /lab/_stcore/health " in config
    assert "path /healthz /lab/healthz\n" in config


@pytest.mark.parametrize("base", ["lab", "/lab\n    bind :1", "/lab x", "/lab/", "/{lab}"])
def test_a_base_path_that_would_change_the_configuration_is_refused(base):
    with pytest.raises(SetupError, match="base path"):
        haproxy_config(PUBLIC, WORKERS, base)


@pytest.mark.parametrize("workers", [[], [WORKERS[0]] * 2, [PUBLIC]])
def test_workers_without_an_address_of_their_own_are_refused(workers):
    with pytest.raises(SetupError, match="address of its own"):
        haproxy_config(PUBLIC, workers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8501",
        "host",
        "host:",
        "host:x",
        "host:0",
        "host:65536",
        "a b:1",
        "::1:80",
        "h:²",
        "h\n:1",
    ],
)
def test_what_is_no_endpoint_is_refused(text):
    with pytest.raises(SetupError):
        Endpoint.parse(text)


@pytest.mark.parametrize("text", ["lab.example.org:80", "10.0.0.2:8501", "[::1]:8501"])
def test_an_endpoint_is_written_as_it_is_read(text):
    assert str(Endpoint.parse(text)) == text


@pytest.mark.parametrize(
    ("variable", "config", "expected"),
    [
        (None, None, ""),
        (None, "[server]\nport = 1\n", ""),
        (None, '[server]\nbaseUrlPath = "lab/"\n', "/lab"),
        ("/a/b/", '[server]\nbaseUrlPath = "lab"\n', "/a/b"),
        ("", '[server]\nbaseUrlPath = "lab"\n', ""),
    ],
)
def test_the_base_path_is_the_one_that_the_workers_take(
    monkeypatch, tmp_path, variable, config, expected
):
    monkeypatch.delenv("STREAMLIT_SERVER_BASE_URL_PATH", raising=False)
    if variable is not None:
        monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", variable)
    if config is not None:
        (tmp_path / ".streamlit").mkdir()
        (tmp_path / ".streamlit" / "config.toml").write_text(config)
    assert proxy.base_path([], tmp_path) == expected
    assert proxy.base_path(["--server.baseUrlPath", "own"], tmp_path) == "/own"
    assert proxy.base_path(["--server.baseUrlPath=own", "--x", "y"], tmp_path) == "/own"


def test_a_missing_haproxy_is_one_sentence_with_the_remedy(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SetupError, match="apt-get install haproxy") as caught:
        proxy.find_haproxy()
    assert "\n" not in str(caught.value)


def test_the_command_prints_a_configuration_for_several_machines(monkeypatch, capsys):
    words = "proxy --listen 0.0.0.0:8501 --worker 10.0.0.2:8501 --worker 10.0.0.3:8501"
    monkeypatch.setattr("sys.argv", [*words.split(), "--base-path", "lab"])
    assert proxy.main() == 0
    printed = capsys.readouterr().out
    workers = [Endpoint("10.0.0.2", 8501), Endpoint("10.0.0.3", 8501)]
    assert printed == haproxy_config(Endpoint("0.0.0.0", 8501), workers, "/lab")
    monkeypatch.setattr("sys.argv", ["proxy", "--listen", "0.0.0.0:x", "--worker", "a:1"])
    assert proxy.main() == 2
    assert capsys.readouterr().err.count("\n") == 1

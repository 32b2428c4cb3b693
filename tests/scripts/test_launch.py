from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from scripts import launch
from scripts.install import SetupError
from scripts.workers import WorkerGroup


@pytest.fixture
def taken_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_one_sentence_that_names_another(taken_port: int) -> None:
    with pytest.raises(SetupError, match=f"127.0.0.1:{taken_port}") as caught:
        launch.check_port("127.0.0.1", taken_port)
    assert f"PORT={taken_port + 1}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_free_port_passes() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    launch.check_port("127.0.0.1", port)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "80a", "8 0", "²", "9" * 5000])
def test_a_port_that_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="from 1 to 65535"):
        launch.parse_port(text)


def test_no_data_root_means_synthetic_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSNA_ROOT", "")
    assert not launch.check_data_root()
    assert "RSNA_ROOT" not in os.environ


def test_a_data_root_that_is_no_folder_is_refused_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path / "missing"))
    monkeypatch.setattr("sys.argv", ["launch"])
    monkeypatch.setattr(launch, "install", lambda **_: pytest.fail("it installed"))
    assert launch.main() == 2
    stderr = capsys.readouterr().err
    assert "not a folder" in stderr
    assert stderr.count("\n") == 1


def test_with_a_data_root_no_synthetic_studies_are_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    monkeypatch.setattr(launch, "check_port", lambda *_: None)
    monkeypatch.setattr(launch, "install", lambda **_: None)
    monkeypatch.setattr(launch.subprocess, "run", lambda *_, **__: pytest.fail("it ran the demo"))
    served: list[list[str]] = []
    monkeypatch.setattr(launch.os, "execv", lambda _, command: served.append(command))
    monkeypatch.setattr(launch.os, "chdir", lambda _: None)
    launch.launch("127.0.0.1", 8501)
    assert served[0][5:9] == ["--server.address", "127.0.0.1", "--server.port", "8501"]


def test_several_workers_are_supervised_with_the_options_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    monkeypatch.setenv("DASHBOARD_OPEN", "1")
    monkeypatch.setenv("ALLOWED_HOSTS", "lab.example.org")
    checked: list[int] = []
    monkeypatch.setattr(launch, "check_port", lambda _, port: checked.append(port))
    monkeypatch.setattr(launch, "find_haproxy", lambda: "haproxy")
    monkeypatch.setattr(launch, "install", lambda **_: None)
    monkeypatch.setattr(launch.os, "chdir", lambda _: None)
    served: list[WorkerGroup] = []
    monkeypatch.setattr(launch, "serve", lambda group: served.append(group) or 0)
    assert launch.launch("127.0.0.1", 8501, workers=2) == 0
    (group,) = served
    assert (str(group.public), group.count) == ("127.0.0.1:8501", 2)
    assert "lab.example.org" in group.options
    assert checked == [8501, 8502, 8503] * 2


def test_a_missing_haproxy_is_reported_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RSNA_ROOT", str(tmp_path))
    monkeypatch.setenv("HAPROXY", "no-such-haproxy")
    monkeypatch.setattr("sys.argv", ["launch", "--workers", "2"])
    monkeypatch.setattr(launch, "check_port", lambda *_: None)
    monkeypatch.setattr(launch, "install", lambda **_: pytest.fail("it installed"))
    assert launch.main() == 2
    assert "apt-get install haproxy" in capsys.readouterr().err


def test_the_upload_limit_of_the_program_reaches_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAX_UPLOAD_MIB", "64")
    assert launch.dashboard_command("127.0.0.1", 1)[-2:] == ["--server.maxUploadSize", "64"]


@pytest.mark.parametrize(
    ("address", "named", "more"),
    [
        ("127.0.0.1", "", []),
        (
            "127.0.0.1",
            "lab.example.org, *.lab.example.org",
            ["lab.example.org", "*.lab.example.org"],
        ),
        ("192.168.0.7", "", ["192.168.0.7"]),
        ("0.0.0.0", "", ["box", "box.lan"]),
    ],
)
def test_the_server_answers_to_its_own_names_and_those_allowed(monkeypatch, address, named, more):
    monkeypatch.setenv("ALLOWED_HOSTS", named)
    monkeypatch.setattr(launch.socket, "gethostname", lambda: "box")
    monkeypatch.setattr(launch.socket, "getfqdn", lambda: "box.lan")
    assert launch.allowed_hosts(address) == ["localhost", "127.0.0.1", "::1", *more]


@pytest.mark.parametrize("name", ["https://lab.example.org", "lab.example.org:8501"])
def test_a_host_name_with_more_than_a_name_is_refused(monkeypatch, name):
    monkeypatch.setenv("ALLOWED_HOSTS", name)
    with pytest.raises(SetupError, match="without scheme, port or path"):
        launch.dashboard_command("127.0.0.1", 8501)


@pytest.mark.parametrize(
    ("address", "hosts"), [("0.0.0.0", ""), ("192.168.0.7", ""), ("127.0.0.1", "lab.example.org")]
)
def test_an_open_server_is_refused_before_anything_is_installed(
    monkeypatch, tmp_path, address, hosts
):
    monkeypatch.setenv("ALLOWED_HOSTS", hosts)
    monkeypatch.delenv("DASHBOARD_OPEN", raising=False)
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SetupError, match="DASHBOARD_OPEN=1 make run"):
        launch.check_visitors(address)
    monkeypatch.setenv("DASHBOARD_OPEN", "1")
    launch.check_visitors(address)
    monkeypatch.delenv("DASHBOARD_OPEN")
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").touch()
    launch.check_visitors(address)


def test_the_own_machine_needs_no_login(monkeypatch):
    monkeypatch.delenv("ALLOWED_HOSTS", raising=False)
    launch.check_visitors("127.0.0.1")

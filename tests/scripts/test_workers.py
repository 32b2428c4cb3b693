from __future__ import annotations

from itertools import pairwise

import pytest

from scripts import workers
from scripts.install import SetupError
from scripts.proxy import Endpoint
from scripts.workers import WorkerGroup, parse_workers, shared_environment


@pytest.mark.parametrize("text", ["", "0", "-1", "65", "two", "²", "1.5", "9" * 5000])
def test_a_number_of_workers_that_is_none_is_refused(text):
    with pytest.raises(SetupError, match="from 1 to 64"):
        parse_workers(text)


def test_workers_listen_on_this_machine_only_after_the_public_port():
    group = WorkerGroup(Endpoint("0.0.0.0", 8501), 3)
    assert [str(one) for one in group.workers] == [f"127.0.0.1:850{n}" for n in (2, 3, 4)]
    with pytest.raises(SetupError, match="65536"):
        _ = WorkerGroup(Endpoint("0.0.0.0", 65535), 1).workers


def test_a_worker_knows_that_others_can_reach_it():
    """Listening on 127.0.0.1 for names of this machine only would count as one's own machine."""
    group = WorkerGroup(Endpoint("0.0.0.0", 8501), 1, "py", ["--server.allowedHosts", "localhost"])
    command = group.command(group.workers[0])
    hosts = [word for before, word in pairwise(command)
             if before == "--server.allowedHosts"]  # fmt: skip
    assert hosts == ["localhost", "0.0.0.0"]
    assert command[command.index("--server.port") + 1] == "8502"
    assert command[0] == "py"


def test_all_workers_have_one_secret_for_cookies(monkeypatch):
    name = "STREAMLIT_SERVER_COOKIE_SECRET"
    monkeypatch.delenv(name, raising=False)
    first, second = shared_environment(), shared_environment()
    assert len(first[name]) == 64
    assert first != second
    monkeypatch.setenv(name, "of several machines")
    assert shared_environment() == {name: "of several machines"}


def test_without_haproxy_the_command_ends_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("HAPROXY", "no-such-haproxy")
    monkeypatch.setattr("sys.argv", ["workers", "--workers", "2"])
    assert workers.main() == 2
    said = capsys.readouterr().err
    assert "no-such-haproxy" in said
    assert said.count("\n") == 1

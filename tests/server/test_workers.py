"""Two workers behind HAProxy on one var folder: one server to a browser, two to a session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from benchmarks.load_sessions import bring_own, load, shows_own
from benchmarks.load_test import server_at
from benchmarks.page_client import PageClient
from scripts.install import SetupError
from scripts.proxy import find_haproxy
from tests.browser.server import free_port, port_of, serve
from tests.dashboard.workplace import SOUND, Workplace
from tests.server.conftest import ORIGIN, ROLES, LoginServer, write_secrets

try:
    find_haproxy()
except SetupError:
    pytest.skip("HAProxy is not installed (apt-get install haproxy).", allow_module_level=True)

COUNT = 2


@dataclass(frozen=True)
class Workers:
    """A running proxy and its workers."""

    url: str
    place: Workplace

    @property
    def direct(self) -> list[str]:
        """The workers' own addresses, which browsers do not use."""
        first = port_of(self.url) + 1
        return [f"http://127.0.0.1:{port}" for port in range(first, first + COUNT)]

    def of(self, client: PageClient) -> str:
        """Name of the worker that a browser is bound to: w1 or w2."""
        return client.http.cookies[f"cspine_worker_{port_of(self.url)}"]

    @contextlib.contextmanager
    def restarts(self, name: str) -> Iterator[None]:
        """Kill a worker; at the end of the block, wait until another process has its place."""
        url = self.direct[int(name[1:]) - 1]
        old = server_at(port_of(url))
        old.kill()
        yield
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/_stcore/health").status_code == 200:
                    assert server_at(port_of(url)) != old
                    return
            time.sleep(0.2)
        raise AssertionError(f"{url} did not come back.")

    def uploads(self) -> set[str]:
        folder = self.place.var / "uploads"
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def place(workplace, tmp_path_factory) -> Workplace:
    root = tmp_path_factory.mktemp("workers")
    shutil.copytree(workplace.checkpoints, root / "checkpoints")
    shutil.copytree(workplace.var / "demo", root / "var" / "demo")
    return Workplace(root)


@pytest.fixture(scope="module")
def workers(place, repo_root) -> Iterator[Workers]:
    log = place.root / "workers.log"
    with serve(repo_root, place.environment, log, workers=COUNT) as url:
        yield Workers(url, place)


def test_browsers_are_spread_over_the_workers_and_stay(workers):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(PageClient(workers.url)) for _ in range(4)]
        bound = [workers.of(client) for client in clients]
        assert sorted(bound) == ["w1", "w1", "w2", "w2"]
        for client in clients:
            client.open("diagnosis")
            viewer = client.component_data("viewer")
            for number in range(5):
                path = f"{viewer['path']}/{viewer['source']}/slice/{number}"
                assert client.http.get(path).status_code == 200
        assert [workers.of(client) for client in clients] == bound


def test_the_cookie_is_for_the_server_only(workers):
    cookie = httpx.get(workers.url).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "127.0.0.1" not in cookie


def test_sessions_on_both_workers_see_their_own_alone(workers):
    found = load(workers.url, sessions=4, interactions=4)
    assert found.errors == []
    assert found.foreign == []
    assert found.interactions == 16


def test_the_health_check_asks_for_a_worker(workers):
    answer = httpx.get(workers.url + "/healthz", headers={"Host": "10.0.0.7"})
    assert (answer.status_code, answer.text) == (200, "ok")


def test_the_proxy_passes_the_checks_of_host_and_origin_on(workers):
    assert httpx.get(workers.url, headers={"Host": "evil.example"}).status_code == 400
    assert httpx.get(workers.url, headers={"Host": "localhost"}).status_code == 200


def study_of(page):
    """The study that the list of studies shows."""
    box = next(one for one in page.of_kind("selectbox") if one.label.startswith("Study"))
    return box.raw_value if box.set_value else box.options[box.default]


def test_sessions_of_a_killed_worker_come_back_with_the_state_of_their_url(workers):
    place = f"study={SOUND}&slice=3"
    with PageClient(workers.url) as before, PageClient(workers.url) as neighbour:
        seen = bring_own(neighbour, 1)
        assert study_of(before.open("diagnosis", place)).startswith("Study 2 ")
        bound, cookies = workers.of(before), dict(before.http.cookies)
        assert bound != workers.of(neighbour)
        # As a browser does: the same cookies and the same URL, on a new connection.
        with workers.restarts(bound), PageClient(workers.url, cookies=cookies) as after:
            assert study_of(after.open("diagnosis", place)).startswith("Study 2 ")
            assert after.component_data("viewer")["goTo"]["slice"] == 3
            assert after.page.errors() == []
            assert workers.of(after) == workers.of(neighbour)
        assert shows_own(neighbour, seen, 1)


def test_an_upload_ends_with_its_worker_only(workers):
    with PageClient(workers.url) as first, PageClient(workers.url) as second:
        others = workers.uploads()
        bring_own(first, 1)
        of_first = workers.uploads() - others
        seen = bring_own(second, 2)
        assert workers.of(first) != workers.of(second)
        with workers.restarts(workers.of(first)):
            pass
        assert not workers.uploads() & of_first
        assert shows_own(second, seen, 2)
        assert second.open("diagnosis").errors() == []


def test_every_worker_accepts_a_login_below_a_base_path(place, repo_root, tmp_path):
    more = {"STREAMLIT_SERVER_BASE_URL_PATH": "lab"} | ROLES
    secrets = write_secrets(tmp_path)
    options = ("--secrets.files", str(secrets))
    with serve(
        repo_root, place.environment | more, tmp_path / "log", extra=options, workers=COUNT,
        base="/lab",
    ) as url:  # fmt: skip
        own = LoginServer(url, secrets).cookie(email="a@lab.example")
        group = Workers(url, place)
        for one in (url, *(f"{direct}/lab" for direct in group.direct)):
            assert httpx.get(f"{one}/media/x").status_code == 401
            assert httpx.get(f"{one}/media/x", cookies=own).status_code != 401
        assert httpx.get(f"{url}/healthz").status_code == 200
        with PageClient(url, cookies=own, origin=ORIGIN) as client:
            assert "a@lab.example" in client.open("overview").text()


def test_ctrl_c_ends_all_processes(place, repo_root, tmp_path):
    port = free_port(following=COUNT)
    command = [sys.executable, "-m", "scripts.workers", "--port", str(port), "--workers", "2"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=repo_root, env=os.environ | place.environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while "workers serve" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) >= COUNT + 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert psutil.wait_procs(below, timeout=5)[1] == []
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_worker_that_cannot_start_stops_the_start(place, repo_root, tmp_path):
    port = free_port(following=COUNT)
    command = [sys.executable, "-m", "scripts.workers", "--port", str(port), "--workers", "2"]
    done = subprocess.run(
        [*command, "--", "--server.maxUploadSize", "much"], cwd=repo_root, timeout=60, check=False,
        env=os.environ | place.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "much" in done.stderr

"""Several sessions on a server, and several servers on one cache, do not disturb each other."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest

from benchmarks.load_sessions import bring_own, load, shows_own
from benchmarks.load_test import server_at
from benchmarks.page_client import PageClient
from core.system.atomic_files import is_temporary
from tests.browser.server import port_of, serve
from tests.dashboard.workplace import FRACTURED, SOUND, Workplace


def test_three_sessions_at_once_meet_no_error_and_see_their_own_alone(open_server):
    found = load(open_server, sessions=3, interactions=5)
    assert found.errors == []
    assert found.foreign == []
    assert found.interactions == 15


@pytest.fixture
def own_place(workplace, tmp_path):
    """A workplace whose cache is empty and whose uploads are this test's."""
    shutil.copytree(workplace.checkpoints, tmp_path / "checkpoints")
    shutil.copytree(workplace.var / "demo", tmp_path / "var" / "demo")
    return Workplace(tmp_path)


def test_two_servers_on_one_cache_serve_and_leave_each_others_files(own_place, repo_root, tmp_path):
    uploads = own_place.var / "uploads"

    def server(name):
        return serve(repo_root, own_place.environment, tmp_path / f"{name}.log")

    def held():
        return {path for path in uploads.iterdir() if not path.name.startswith(".")}

    with server("one") as one, PageClient(one) as first:
        seen = bring_own(first, 1)
        (of_first,) = held()
        with server("two") as two, PageClient(two) as second:
            assert shows_own(first, seen, 1)
            also_seen = bring_own(second, 2)
            assert shows_own(second, also_seen, 2)
            (of_second,) = held() - {of_first}
            _look_at_the_data_set((one, two))
            _check_store(own_place.var / "cache")
            server_at(port_of(two)).kill()
        assert of_second.is_dir()
        with server("three") as three, PageClient(three) as third:
            assert "lab-header" in third.open("diagnosis").text()
            assert held() == {of_first}
            assert shows_own(first, seen, 1)
    _check_store(own_place.var / "cache")


def _look_at_the_data_set(urls):
    """Both servers build the same entries of the cache at the same time."""
    problems = []

    def look(url):
        try:
            with PageClient(url) as client:
                for study in (FRACTURED, SOUND):
                    client.open("preprocessing", f"study={study}")
                    problems.extend(client.page.errors())
        except Exception as error:  # noqa: BLE001 - whatever it is belongs in the report
            problems.append(str(error))

    threads = [threading.Thread(target=look, args=(url,)) for url in urls for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def _check_store(cache):
    """Every entry is whole, and nothing half written lies about."""
    entries = list(cache.glob("*/[0-9a-f][0-9a-f]/*/entry.json"))
    assert entries
    for entry in entries:
        for name, (dtype, shape) in json.loads(entry.read_text())["arrays"]:
            array = np.load(entry.with_name(f"{name}.npy"))
            assert (array.dtype.str, list(array.shape)) == (dtype, shape)
    left = [p for p in cache.rglob(".*") if is_temporary(p.name) or p.name.startswith(".building")]
    assert left == []

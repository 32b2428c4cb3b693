"""One client opens pages and asks for pixels without measure; the others are served."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.server import serve

LIMITS = {"MAX_SESSIONS": "3", "MAX_SESSIONS_PER_ADDRESS": "2", "PIXEL_RATE": "50"}
FLOOD, OTHER, THIRD = ({"X-Forwarded-For": f"203.0.113.{n}"} for n in (1, 2, 3))
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def narrow_server(workplace, repo_root, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "narrow.log"
    with serve(repo_root, workplace.environment | LIMITS, log) as url:
        yield url


def stream(url, address):
    return connect(
        url.replace("http", "ws", 1) + "/_stcore/stream", additional_headers=address,
        origin=url, subprotocols=["streamlit", "none"],
    )  # fmt: skip


def refused(url, address):
    with pytest.raises(InvalidStatus) as caught, stream(url, address):
        pass
    answer = caught.value.response
    return answer.status_code, int(answer.headers["Retry-After"]), answer.body.decode()


def test_pages_have_a_limit_per_address_and_in_all(narrow_server):
    url = narrow_server
    with ExitStack() as opened:
        first = [opened.enter_context(stream(url, FLOOD)) for _ in range(2)]
        status, again, sentence = refused(url, FLOOD)
        assert (status, again, sentence.count("\n")) == (429, 15, 1)
        assert "MAX_SESSIONS_PER_ADDRESS" in sentence
        page = httpx.get(f"{url}/diagnosis", headers=FLOOD | PAGE)
        assert (page.status_code, page.headers["retry-after"]) == (429, "15")
        assert "No room at the moment" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert httpx.get(f"{url}/diagnosis", headers=OTHER | PAGE).status_code == 200
        opened.enter_context(stream(url, OTHER))
        assert refused(url, THIRD)[0] == 503
        assert httpx.get(f"{url}/_stcore/health", headers=FLOOD).status_code == 200
        first[0].close()
        deadline = time.monotonic() + 5
        while httpx.get(f"{url}/diagnosis", headers=THIRD | PAGE).status_code != 200:
            assert time.monotonic() < deadline
        opened.enter_context(stream(url, THIRD))


def test_a_flood_of_pixel_requests_is_refused_and_others_are_served(narrow_server):
    place, over, found = f"{narrow_server}/pixels/none/slice/1", threading.Event(), []

    def flood():
        with httpx.Client(headers=FLOOD, timeout=30) as client:
            while not over.is_set():
                answer = client.get(place)
                found.append((answer.status_code, answer.headers.get("retry-after")))

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        with httpx.Client(headers=OTHER, timeout=30) as client:
            answers = [client.get(place).status_code for _ in range(30)]
        time.sleep(2)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert answers == [404] * 30
    assert (429, "1") in found
    assert {status for status, _ in found} == {404, 429}

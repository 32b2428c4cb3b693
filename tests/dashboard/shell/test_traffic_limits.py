"""Limits on requests, behind the middleware with which uvicorn reads the header of a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from core.config import Settings
from dashboard.shell.traffic_limits import TrafficLimits

LIMITS = Settings(
    max_sessions=3, max_sessions_per_address=2, max_requests=4, max_requests_per_address=2,
    pixel_rate=1,
)  # fmt: skip


def completed(check: Coroutine[Any, Any, None]) -> None:
    """Run a check in a thread: Playwright's loop may run in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, check).result()


class Server:
    """An application whose requests last until they are let go, within limits."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.app = ProxyHeadersMiddleware(TrafficLimits(self._answer, LIMITS), "127.0.0.1,::1")

    async def _answer(self, scope, receive, send):
        await self.let_go.wait()
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

    def ask(self, path="/x", *, peer="127.0.0.1", forwarded="", kind="http", accept="*/*"):
        """Send a request: a task with its messages."""
        headers = [(b"accept", accept.encode())]
        if forwarded:
            headers.append((b"x-forwarded-for", forwarded.encode()))
        scope = {
            "type": kind, "method": "GET", "path": path, "headers": headers, "query_string": b"",
            "client": (peer, 1), "server": ("127.0.0.1", 8501), "scheme": "http",
            "extensions": {"websocket.http.response": {}},
        }  # fmt: skip
        sent = []

        async def receive():
            return {"type": "http.request"}

        async def send(message):
            sent.append(message)

        async def run():
            await self.app(scope, receive, send)
            return sent

        return asyncio.get_running_loop().create_task(run())

    async def status(self, *args, **options) -> int | None:
        """Status of a refused request with its headers and text; None while it lasts."""
        task = self.ask(*args, **options)
        for _ in range(20):
            await asyncio.sleep(0)
        if not task.done():
            return None
        start = task.result()[0]
        self.headers = {key.decode(): value.decode() for key, value in start["headers"]}
        self.text = task.result()[1]["body"].decode()
        return start["status"]


def test_requests_are_counted_per_address_and_in_all():
    async def check():
        server = Server()
        for _ in range(2):
            assert await server.status(forwarded="203.0.113.1") is None
        assert await server.status(forwarded="203.0.113.1") == 429
        assert (server.headers["retry-after"], server.text.count("\n")) == ("1", 1)
        for _ in range(2):
            assert await server.status(forwarded="203.0.113.2") is None
        assert await server.status(forwarded="203.0.113.3") == 503
        assert await server.status("/_stcore/health", forwarded="203.0.113.1") is None
        server.let_go.set()
        await asyncio.sleep(0.01)
        assert await server.status(forwarded="203.0.113.1") == 200

    completed(check())


def test_open_pages_are_counted_and_a_further_one_is_a_page_that_says_so():
    async def check():
        server = Server()
        stream, page = "/_stcore/stream", {"accept": "text/html,*/*"}
        for _ in range(2):
            assert await server.status(stream, kind="websocket", forwarded="203.0.113.1") is None
        assert await server.status(stream, kind="websocket", forwarded="203.0.113.1") == 429
        assert await server.status("/diagnosis", forwarded="203.0.113.1", **page) == 429
        assert "Your address has as many pages" in server.text
        assert 'http-equiv="refresh"' in server.text
        assert server.headers["retry-after"] == "15"
        # What an open page fetches is no further page.
        assert await server.status("/media/a.png", forwarded="203.0.113.1", **page) is None
        assert await server.status("/diagnosis", forwarded="203.0.113.2", **page) is None
        assert await server.status(stream, kind="websocket", forwarded="203.0.113.2") is None
        assert await server.status(stream, kind="websocket", forwarded="203.0.113.3") == 503
        assert await server.status("/diagnosis", forwarded="203.0.113.3", **page) == 503
        server.let_go.set()
        await asyncio.sleep(0.01)
        assert await server.status("/diagnosis", forwarded="203.0.113.1", **page) == 200

    completed(check())


@pytest.mark.parametrize("path", ["/pixels/n/slice/1", "/scenes/n/parts", "/pictures/n"])
def test_pixels_have_a_rate_per_address(path):
    async def check():
        server = Server()
        server.let_go.set()
        found = [await server.status(path, forwarded="203.0.113.1") for _ in range(6)]
        assert found == [200] * 4 + [429] * 2
        assert server.headers["retry-after"] == "1"
        assert await server.status(path, forwarded="203.0.113.2") == 200
        assert await server.status("/static/a.js", forwarded="203.0.113.1") == 200

    completed(check())


def test_only_a_proxy_of_ones_own_may_name_the_address():
    async def check():
        server = Server()
        stranger = {"peer": "198.51.100.9"}
        assert await server.status(forwarded="203.0.113.1", **stranger) is None
        assert await server.status(forwarded="203.0.113.2", **stranger) is None
        assert await server.status(forwarded="203.0.113.3", **stranger) == 429
        # What a client claims stands before what the proxy has added.
        assert await server.status(forwarded="203.0.113.8, 203.0.113.7") is None
        assert await server.status(forwarded="203.0.113.9, 203.0.113.7") is None
        assert await server.status(forwarded="203.0.113.10, 203.0.113.7") == 429

    completed(check())


def test_a_request_that_fails_gives_its_place_back():
    async def check():
        async def fails(scope, receive, send):
            raise RuntimeError

        app = TrafficLimits(fails, LIMITS)
        scope = {"type": "http", "method": "GET", "path": "/x", "headers": [], "client": ("a", 1)}
        for _ in range(10):
            with pytest.raises(RuntimeError):
                await app(scope, None, None)

    completed(check())

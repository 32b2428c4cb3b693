"""Limits on open pages and requests, of one address and in all, before anything is computed."""

from __future__ import annotations

import time
from html import escape
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from core.config import Settings
from dashboard.background.traffic import Places, Rate, Refused, address_key
from dashboard.session.refusals import refusal_answer
from dashboard.session.settings import settings
from dashboard.session.urls import path_of
from dashboard.shell.gate import HEALTH, PRIVATE
from dashboard.shell.upload_route import UPLOADS

BURST_SECONDS: Final = 4
"""A viewer that fetches a whole study comes ahead of its average."""
COMPUTED: Final = ("pixels", "scenes", "pictures", "counts")
"""Routes whose answers are computed, which have a rate."""
PAGE_AGAIN_S: Final = 15
"""After this a page that found no place asks again by itself."""
_SOCKETS: Final = {
    "own": "Your address has as many pages of this server open as it may "
    "(MAX_SESSIONS_PER_ADDRESS); close one, or try again later.",
    "all": "This server has as many pages open as it may (MAX_SESSIONS); try again later.",
}
_REQUESTS: Final = {
    "own": "Your address has too many requests open (MAX_REQUESTS_PER_ADDRESS); try again.",
    "all": "This server has too many requests open (MAX_REQUESTS); try again.",
}
_TOO_FAST: Final = (
    "Your address asks for pictures faster than it may (PIXEL_RATE); try again in a moment."
)
_STATUS: Final = {"own": 429, "all": 503}
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="{seconds}">
<title>C-Spine Fracture Lab</title>
<style>:root{{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}}
body{{max-width:36rem;margin:20vh auto;padding:0 1.5rem}}</style>
<h1>No room at the moment</h1><p>{sentence}</p><p>This page asks again every {seconds} seconds.</p>
"""


class TrafficLimits:
    """ASGI middleware that counts WebSockets and requests.

    The address is that of the connection, or the one that a proxy named: uvicorn believes
    `X-Forwarded-For` only of the proxies in FORWARDED_ALLOW_IPS (this machine where it is not set).

    Args:
        app: Application that answers what is within the limits.
        limits: Limits; None for those of the environment.
    """

    def __init__(self, app: ASGIApp, limits: Settings | None = None) -> None:
        limits = limits or settings()
        self._app = app
        self._sockets = Places(limits.max_sessions, limits.max_sessions_per_address)
        self._requests = Places(limits.max_requests, limits.max_requests_per_address)
        self._pixels = Rate(limits.pixel_rate, BURST_SECONDS * limits.pixel_rate, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limits, and refuse the rest."""
        address = address_key((scope.get("client") or ("",))[0])
        if scope["type"] == "websocket":
            await self._socket(address, scope, receive, send)
        elif scope["type"] == "http" and not _is_counted_elsewhere(scope):
            await self._request(address, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _socket(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._sockets.take(address)
        if refused is not None:
            answer = _answer(scope, _STATUS[refused], _SOCKETS[refused], PAGE_AGAIN_S)
            await WebSocket(scope, receive, send).send_denial_response(answer)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._sockets.free(address)

    async def _request(self, address: str, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(address, scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests.free(address)

    def _refusal(self, address: str, scope: Scope) -> Response | None:
        """Answer to a request beyond a limit; None if it took its place."""
        full = self._sockets.refusal(address)
        if full is not None and _is_page(scope):
            return _page(full)
        if _is_below(scope["path"], COMPUTED):
            wait_s = self._pixels.wait_s(address)
            if wait_s:
                return _answer(scope, 429, _TOO_FAST, wait_s)
        refused = self._requests.take(address)
        return None if refused is None else _answer(scope, _STATUS[refused], _REQUESTS[refused], 1)


def _is_counted_elsewhere(scope: Scope) -> bool:
    """The health check is never refused, and uploads have limits of their own."""
    path = scope["path"]
    return path in (HEALTH, path_of(HEALTH[1:])) or (
        scope["method"] == "PUT" and _is_below(path, (UPLOADS,))
    )


def _is_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, which would open a WebSocket."""
    wanted = Headers(scope=scope).get("accept", "")
    private = [place[1:] for place in PRIVATE]
    return (
        scope["method"] == "GET" and "text/html" in wanted and not _is_below(scope["path"], private)
    )


def _is_below(path: str, places: tuple[str, ...] | list[str]) -> bool:
    return any(path.startswith(f"{path_of(place)}/") for place in places)


def _page(refused: Refused) -> Response:
    text = _PAGE.format(sentence=escape(_SOCKETS[refused]), seconds=PAGE_AGAIN_S)
    return HTMLResponse(text, _STATUS[refused], _headers(PAGE_AGAIN_S))


def _answer(scope: Scope, status: int, sentence: str, wait_s: int) -> Response:
    return refusal_answer(scope["path"], status, sentence, _headers(wait_s))


def _headers(wait_s: int) -> dict[str, str]:
    return {"Retry-After": str(wait_s), "Cache-Control": "no-store"}

"""The page is sent with styles, a cover until it is laid out, and scripts for the whole frame."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ROOT: Final = Path(__file__).resolve().parent.parent
_END: Final = b"</body>"
_DROPPED: Final = frozenset({b"accept-encoding", b"if-none-match", b"if-modified-since", b"range"})
_LONGEST: Final = 1 << 20
"""Bytes of a page at most; anything longer is passed on as it is."""


class FirstPaint:
    """ASGI middleware that adds styles and scripts to the HTML page of the application.

    Styles that a page sends as one of its elements arrive after its first text. Streamlit draws
    sidebar, texts and placeholders one after the other, and each moves those before it. It also
    makes its first entries in the browser's history before a component of a page could order them.

    Args:
        app: Application whose page it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and change the answer if it is the page."""
        if scope["type"] != "http" or not _asks_for_page(scope):
            await self._app(scope, receive, send)
            return
        # Whole and uncompressed, so that it can be changed; what the browser kept may be older.
        kept = [(name, value) for name, value in scope["headers"] if name not in _DROPPED]
        await self._app({**scope, "headers": kept}, receive, _Page(send))


class _Page:
    """Sends an answer on; that with the page is held until it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self._body.replace(_END, first_paint() + _END, 1)
        headers = MutableHeaders(raw=self._start["headers"])
        headers["content-length"] = str(len(body))
        # They are those of the file on disk.
        for name in ("etag", "last-modified"):
            if name in headers:
                del headers[name]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


def _asks_for_page(scope: Scope) -> bool:
    accepted = Headers(scope=scope).get("accept", "")
    return scope["method"] == "GET" and "text/html" in accepted


def _is_page(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    plain = "content-encoding" not in headers
    is_html = headers.get("content-type", "").startswith("text/html")
    short = int(headers.get("content-length", "0")) <= _LONGEST
    return message["status"] == 200 and is_html and plain and short


@lru_cache(maxsize=1)
def first_paint() -> bytes:
    """Styles and scripts, for the end of the page: what is later in the document wins."""
    style = (_ROOT / "style.css").read_text(encoding="utf-8")
    cover = (_ROOT / "shell" / "cover.css").read_text(encoding="utf-8")
    scripts = [
        (_ROOT / "shell" / name).read_text(encoding="utf-8")
        for name in ("cover.js", "history.js", "sidebar.js")
    ]
    added = "".join(f"<script>{script}</script>" for script in scripts)
    return f"<style>{style}{cover}</style>{added}".encode()

"""Checks of every request before it reaches a page or a route: host name, login, headers."""

from __future__ import annotations

from typing import Final

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from core.errors import ConfigError
from dashboard.session.access import role_by_cookies

HEALTH: Final = "/_stcore/health"
PRIVATE: Final = ("/pixels", "/scenes", "/media", "/_stcore/upload_file", "/_stcore/metrics")
"""Paths with data below them; everything else is the program's own code and the login."""
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
_UNKNOWN_HOST: Final = (
    "This server does not accept the host name of the request; add it to ALLOWED_HOSTS.\n"
)


class Gate:
    """ASGI middleware around the whole application.

    Streamlit compares the host with `server.allowedHosts` for its WebSocket only; the gate does so
    for everything except the health check, which reveals nothing. The WebSocket itself needs no
    login: a user without a role sees only the login page.

    Args:
        app: Application to protect.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the application, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = _refuse(HTTPConnection(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (refused or self._app)(scope, receive, send_with_headers)


def _refuse(request: HTTPConnection) -> Response | None:
    path = _below_base(request.url.path)
    if path != HEALTH and not is_host_allowed(request.headers.get("host")):
        return PlainTextResponse(_UNKNOWN_HOST, status_code=400, headers=_no_store())
    if not any(path == start or path.startswith(start + "/") for start in PRIVATE):
        return None
    try:
        role = role_by_cookies(request.cookies)
    except ConfigError as error:
        return PlainTextResponse(f"{error}\n", status_code=503, headers=_no_store())
    if role is None:
        return PlainTextResponse("Log in first.\n", status_code=401, headers=_no_store())
    return None


def _below_base(path: str) -> str:
    base = "/" + (st.get_option("server.baseUrlPath") or "").strip("/")
    return path.removeprefix(base) if base != "/" else path


def _no_store() -> dict[str, str]:
    return {"Cache-Control": "no-store"}

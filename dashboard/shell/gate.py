"""Checks of every request before it reaches a page or a route: host name, login, headers."""

from __future__ import annotations

import ipaddress
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from core.errors import ConfigError
from dashboard.session.access import role_by_cookies
from dashboard.session.admission import admission
from dashboard.session.refusals import refusal_answer
from dashboard.session.urls import base_path

HEALTH: Final = "/_stcore/health"
PRIVATE: Final = ("/pixels", "/scenes", "/pictures", "/media", "/_stcore")
"""Paths with data below them; everything else is the program's own code and the login."""
_PUBLIC: Final = (HEALTH, "/_stcore/host-config", "/_stcore/bidi-components")
"""Paths below `PRIVATE` that a browser needs before the login, and that hold no data."""
_POLICY: Final = {
    "default-src": "'self'",
    # The page and the components of Streamlit run small scripts of their own.
    "script-src": "'self' 'unsafe-inline' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
"""What a page may load and from where; nothing comes from or goes to another host."""
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(f"{kind} {value}" for kind, value in _POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
_UNKNOWN_HOST: Final = (
    "This server does not accept the host name of the request; add it to ALLOWED_HOSTS."
)
_OWN_MACHINE: Final = (
    "This server was started for its own machine, but listens on an address that others can "
    "reach; start it with make run ADDRESS=…"
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
        if scope["type"] == "websocket":
            refused = _unsafe(scope)
            if refused is None:
                await self._app(scope, receive, send)
            else:
                await WebSocket(scope, receive, send).send_denial_response(refused)
            return
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
    # Not `request.url.path`, which is parsed from text that the Host header is a part of.
    path = _below_base(request.scope["path"])
    if path == HEALTH:
        return None
    if not is_host_allowed(request.headers.get("host")):
        return refusal_answer(request.scope["path"], 400, _UNKNOWN_HOST)
    if refused := _unsafe(request.scope):
        return refused
    if not _is_below(path, PRIVATE) or _is_below(path, _PUBLIC):
        return None
    if role_by_cookies(request.cookies) is None:
        return refusal_answer(request.scope["path"], 401, "Log in first.")
    return None


def _unsafe(scope: Scope) -> Response | None:
    """Refusal of everything where the decision at the start does not hold any more."""
    try:
        decided = admission()
        decided.check_holds()
    except ConfigError as error:
        return refusal_answer(scope["path"], 503, str(error))
    if decided.mode == "own machine" and not _is_own(scope):
        return refusal_answer(scope["path"], 403, _OWN_MACHINE)
    return None


def _is_own(scope: Scope) -> bool:
    """Whether a request came in at an address of this machine alone."""
    address = (scope.get("server") or ("", None))[0]
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        # A socket file or a test client; not an address that others can reach.
        return True


def _below_base(path: str) -> str:
    base = base_path()
    return path[len(base) :] if path.startswith(f"{base}/") else path


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)

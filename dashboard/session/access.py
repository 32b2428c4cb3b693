"""What the current user may do, by login, role and read-only mode."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping
from typing import Literal

import streamlit as st
from streamlit.auth_util import get_cookie_with_chunks, get_origin_from_redirect_uri
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core.errors import CSpineError
from dashboard.session.admission import admission
from dashboard.session.program import program_session
from dashboard.session.roles import Identity, Role
from dashboard.session.settings import settings

Permission = Literal["look", "browse", "change"]
"""To use what is shown and one's own uploads, to open folders of the server, to change things."""


def login_is_on() -> bool:
    """Whether the server asks for a login."""
    return admission().mode == "login"


def providers() -> list[str]:
    """Names of the identity providers to choose from; empty for a single unnamed one."""
    return [name for name, value in admission().auth.items() if isinstance(value, Mapping)]


def identity() -> Identity | None:
    """Claims of the user whose page is being drawn; None if nobody is logged in."""
    if get_script_run_ctx() is None:
        return None
    claims = st.user.to_dict()
    return claims if claims.get("is_logged_in") is True else None


def role() -> Role | None:
    """Role of the user whose page is being drawn, or of the program that work is done for.

    None for a user without access.

    Raises:
        ConfigError: The login is not the one that was decided at the start.
    """
    if program_session() is not None:
        admission().check_holds()
        return "viewer"
    return _role_of(identity)


def role_by_cookies(cookies: Mapping[str, str]) -> Role | None:
    """Role of the sender of an HTTP request, from the signed cookie of the login.

    Raises:
        ConfigError: The login is not the one that was decided at the start.
    """
    return _role_of(lambda: _claims(cookies))


def user_name() -> str:
    """Who the user whose page is being drawn is: e-mail or name, or this machine's user."""
    claims = identity()
    for claim in ("email", "name"):
        if claims is not None and claims.get(claim):
            return str(claims[claim])
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "an operator"


def may_change() -> bool:
    """Whether the user whose page is being drawn may change anything."""
    return read_only_reason() is None


def may_browse() -> bool:
    """Whether the user may open folders of the server: operators only, as others' data is there."""
    return role() == "operator"


def read_only_reason() -> str | None:
    """Why nothing may be changed, as the beginning of a sentence; None if changes are allowed."""
    return _lack("change")


def refusal(purpose: str, permission: Permission = "change") -> str | None:
    """Why something is refused and how to allow it; None if it is allowed.

    Args:
        purpose: What the permission is needed for, as in "to start training here".
        permission: What is needed.
    """
    reason = _lack(permission)
    if reason is None:
        return None
    if role() is None:
        remedy = "log in"
    elif permission == "change" and settings().dashboard_readonly:
        remedy = "unset DASHBOARD_READONLY"
    else:
        remedy = "an operator's account is needed"
    return f"{reason}; {remedy} {purpose}."


def check_allowed(permission: Permission, error_type: type[CSpineError], purpose: str) -> None:
    """Check that the user whose page is being drawn has a permission.

    Args:
        permission: What is needed.
        error_type: Type of the error.
        purpose: As for `refusal`.

    Raises:
        CSpineError: Of type `error_type`: the user has not.
    """
    if reason := refusal(purpose, permission):
        raise error_type(reason)


def _lack(permission: Permission) -> str | None:
    """Reason why a permission is missing, as the beginning of a sentence; None if it is there."""
    current = role()
    if current is None:
        return "You are not logged in"
    if permission == "change" and settings().dashboard_readonly:
        return "This dashboard is read-only"
    if permission != "look" and current != "operator":
        return "Your account has read access only"
    return None


def _role_of(find_claims: Callable[[], Identity | None]) -> Role | None:
    decided = admission()
    decided.check_holds()
    if decided.mode != "login":
        return "operator" if decided.mode == "own machine" else "viewer"
    claims = find_claims()
    return None if claims is None else decided.rules.role_of(claims)


def _claims(cookies: Mapping[str, str]) -> Identity | None:
    key = str(admission().auth["cookie_secret"])

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        if value is None:
            return None
        return decode_signed_value(key, name, value.encode("latin-1", "replace"))

    found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
    try:
        claims = json.loads(found) if found else None
    except ValueError:
        return None
    if not isinstance(claims, dict) or claims.get("is_logged_in") is not True:
        return None
    # Another deployment with the same secret may have signed the cookie.
    return claims if claims.get("origin") == get_origin_from_redirect_uri() else None

"""What the current user may do, by login, role and read-only mode.

The login is on as soon as Streamlit's secrets have an `[auth]` section. Without one everybody who
reaches the server is an operator, which is right for a server on the user's own machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import streamlit as st
from streamlit.auth_util import (
    get_cookie_with_chunks,
    get_origin_from_redirect_uri,
    get_secrets_auth_section,
)
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard.session.roles import Identity, Role, role_rules
from dashboard.session.settings import settings


def login_is_on() -> bool:
    """Whether the server asks for a login."""
    return bool(get_secrets_auth_section())


def providers() -> list[str]:
    """Names of the identity providers to choose from; empty for a single unnamed one."""
    section = get_secrets_auth_section()
    return [name for name, value in section.items() if isinstance(value, Mapping)]


def identity() -> Identity | None:
    """Claims of the user whose page is being drawn; None if nobody is logged in."""
    if get_script_run_ctx() is None:
        return None
    claims = st.user.to_dict()
    return claims if claims.get("is_logged_in") is True else None


def role() -> Role | None:
    """Role of the user whose page is being drawn; None for a user without access.

    Raises:
        ConfigError: The rules for roles are wrong.
    """
    if not login_is_on():
        return "operator"
    claims = identity()
    return None if claims is None else role_rules(settings()).role_of(claims)


def role_by_cookies(cookies: Mapping[str, str]) -> Role | None:
    """Role of the sender of an HTTP request, from the signed cookie of the login.

    Raises:
        ConfigError: The rules for roles are wrong.
    """
    if not login_is_on():
        return "operator"
    claims = _claims(cookies)
    return None if claims is None else role_rules(settings()).role_of(claims)


def may_change() -> bool:
    """Whether the user whose page is being drawn may change anything."""
    return read_only_reason() is None


def may_browse() -> bool:
    """Whether the user may open folders of the server: operators only, as others' data is there."""
    return role() == "operator"


def read_only_reason() -> str | None:
    """Why nothing may be changed, as the beginning of a sentence; None if changes are allowed."""
    if settings().dashboard_readonly:
        return "This dashboard is read-only"
    if role() != "operator":
        return "Your account has read access only"
    return None


def refusal(purpose: str) -> str | None:
    """Why a change is refused and how to allow it; None if changes are allowed.

    Args:
        purpose: What the change is needed for, as in "to start training here".
    """
    reason = read_only_reason()
    if reason is None:
        return None
    remedy = (
        "unset DASHBOARD_READONLY"
        if settings().dashboard_readonly
        else "an operator's account is needed"
    )
    return f"{reason}; {remedy} {purpose}."


def _claims(cookies: Mapping[str, str]) -> Identity | None:
    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        if value is None:
            return None
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1", "replace"))

    found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
    try:
        claims = json.loads(found) if found else None
    except ValueError:
        return None
    if not isinstance(claims, dict) or claims.get("is_logged_in") is not True:
        return None
    # Another deployment with the same secret may have signed the cookie.
    return claims if claims.get("origin") == get_origin_from_redirect_uri() else None

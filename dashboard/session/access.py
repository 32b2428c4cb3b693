"""What the one who asks may do: by login and role, where there is a login, and read-only mode.

A login is on as soon as Streamlit's secrets have an `[auth]` section. Without one everybody who
reaches the server is an operator, which is right for a server on the reader's own machine.
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
    """Names of the identity providers to choose from; empty where there is the one unnamed."""
    section = get_secrets_auth_section()
    return [name for name, value in section.items() if isinstance(value, Mapping)]


def identity() -> Identity | None:
    """Claims of the one whose page is being drawn; None where nobody is logged in."""
    if get_script_run_ctx() is None:
        return None
    claims = st.user.to_dict()
    return claims if claims.get("is_logged_in") is True else None


def role() -> Role | None:
    """Role of the one whose page is being drawn; None for one who may not see anything.

    Raises:
        ConfigError: The rules for roles are wrong.
    """
    if not login_is_on():
        return "operator"
    claims = identity()
    return None if claims is None else role_rules(settings()).role_of(claims)


def role_by_cookies(cookies: Mapping[str, str]) -> Role | None:
    """Role of the one who sent an HTTP request, by the signed cookie that the login left.

    Raises:
        ConfigError: The rules for roles are wrong.
    """
    if not login_is_on():
        return "operator"
    claims = _claims(cookies)
    return None if claims is None else role_rules(settings()).role_of(claims)


def may_change() -> bool:
    """Whether the one whose page is being drawn may change anything."""
    return looking_only() is None


def may_browse() -> bool:
    """Whether folders of the server may be named: by operators, as they hold others' data too."""
    return role() == "operator"


def looking_only() -> str | None:
    """Why nothing may be changed, as the beginning of a sentence; None where it may."""
    if settings().dashboard_readonly:
        return "This dashboard is read-only"
    if role() != "operator":
        return "Your account may look but not change anything"
    return None


def refusal(purpose: str) -> str | None:
    """A sentence for one who may not change anything; None for one who may.

    Args:
        purpose: What it would be needed for, as in "to train from it".
    """
    reason = looking_only()
    if reason is None:
        return None
    mend = (
        "unset DASHBOARD_READONLY"
        if settings().dashboard_readonly
        else "an operator's account is needed"
    )
    return f"{reason}; {mend} {purpose}."


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
    # A cookie that another deployment with the same secret signed is none of ours.
    return claims if claims.get("origin") == get_origin_from_redirect_uri() else None

"""Login and logout, if the server asks for a login."""

from __future__ import annotations

from html import escape

import streamlit as st

from core.errors import ConfigError
from dashboard.session import access
from dashboard.widgets.frame import page_header
from dashboard.widgets.notices import show_error

_MAIN = "Log in"


def admitted() -> bool:
    """Whether the page may be drawn; otherwise draw the login or the refusal."""
    try:
        role = access.role()
    except ConfigError as error:
        show_error(error, icon=":material/lock:")
        return False
    if role is not None:
        return True
    page_header("C-Spine Fracture Lab", "Please log in.")
    if access.identity() is None:
        _offer_login()
    else:
        _refuse()
    return False


def account() -> None:
    """Show the account and its role in the sidebar; nothing without a login."""
    claims = access.identity() if access.login_is_on() else None
    if claims is None:
        return
    name = str(claims.get("email") or claims.get("name") or claims.get("sub") or "somebody")
    st.html(
        '<div class="lab-side-status"><span class="lab-side-label">Account</span>'
        f"<strong>{escape(name)}</strong><span>{escape(access.role() or 'no role')}</span></div>"
    )
    st.button("Log out", icon=":material/logout:", on_click=st.logout, key="log_out")


def _offer_login() -> None:
    st.write("The studies on this server are visible to registered accounts only.")
    names = access.providers()
    for name in names:
        st.button(
            f"{_MAIN} with {name}", type="primary", icon=":material/login:",
            on_click=st.login, args=(name,), key=f"login_{name}",
        )  # fmt: skip
    if not names:
        st.button(_MAIN, type="primary", icon=":material/login:", on_click=st.login, key="login")


def _refuse() -> None:
    st.warning(
        "Your account has no role here; ask the operator of this server to add it to "
        "DASHBOARD_VIEWERS or DASHBOARD_OPERATORS.",
        icon=":material/lock:",
    )
    st.button("Log in with another account", on_click=st.logout, icon=":material/logout:")

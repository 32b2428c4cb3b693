"""Addresses of pages and routes, below the base path of the server."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import streamlit as st

from core.config import PROJECT_ROOT

PAGES: Final = PROJECT_ROOT / "pages"
"""One file per page; its stem is the path of the page in the URL."""


def base_path() -> str:
    """Path that everything of this server is below: "" or "/name"."""
    name = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{name}" if name else ""


def path_of(kind: str) -> str:
    """Path of the routes of one kind, without a trailing slash."""
    return f"{base_path()}/{kind}"


def page_url(page: str, /, **query: str | int) -> str:
    """Link to a page.

    Args:
        page: Stem of its file.
        query: Parameters of the link.
    """
    asked = urlencode(query)
    return f"{path_of(page)}?{asked}" if asked else path_of(page)


def slice_number(text: str, n_slices: int) -> int | None:
    """Index of a slice in a URL; None for anything but a slice of the study.

    Args:
        text: Part of the URL, of any length.
        n_slices: Number of slices of the study.
    """
    # Python refuses to convert thousands of digits; some digits are none of ASCII.
    exists = text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < n_slices
    return int(text) if exists else None

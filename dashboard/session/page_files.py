"""Folder of the page files."""

from __future__ import annotations

from typing import Final

from core.config import PROJECT_ROOT

PAGES: Final = PROJECT_ROOT / "pages"
"""One file per page; its stem is the path of the page in the URL."""

"""Where the files of the pages are."""

from __future__ import annotations

from typing import Final

from core.config import PROJECT_ROOT

PAGES: Final = PROJECT_ROOT / "pages"
"""One file per page; its stem is the page's address."""

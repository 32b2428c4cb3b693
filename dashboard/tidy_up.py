"""What killed processes left half written goes when a server starts; what others write stays."""

from __future__ import annotations

import logging

from core.atomic import sweep_leftovers
from core.config import Settings
from core.data.store_eviction import sweep_all

_log = logging.getLogger("dashboard")


def tidy_up(settings: Settings) -> int:
    """Sweep cache, uploads and runs; returns how many files of killed writes were removed."""
    uploads = settings.cspine_var / "uploads"
    folders = (settings.rsna_cache, uploads, settings.runs_root)
    removed = sum(sweep_leftovers(folder) for folder in folders)
    sweep_all(settings.rsna_cache)
    if removed:
        _log.info("%d files of writes that were killed are removed.", removed)
    return removed

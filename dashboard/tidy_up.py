"""What killed processes left half written or half removed goes when a server starts."""

from __future__ import annotations

import logging
import shutil
import time

from core.atomic import LEFT_SECONDS, sweep_leftovers
from core.config import Settings
from core.data.store_eviction import sweep_all
from dashboard.background.processes import DOOMED

_log = logging.getLogger("dashboard")


def tidy_up(settings: Settings) -> int:
    """Sweep cache, uploads and runs; returns how many files of killed writes were removed."""
    uploads = settings.cspine_var / "uploads"
    folders = (settings.rsna_cache, uploads, settings.runs_root)
    removed = sum(sweep_leftovers(folder) for folder in folders)
    sweep_all(settings.rsna_cache)
    for root in (settings.runs_root, settings.cspine_var / "cohorts"):
        for doomed in root.glob(f"{DOOMED}*"):
            _, _, renamed_ns = doomed.name.rpartition("-")
            # Another server may be at the removal of a younger one.
            if renamed_ns.isdecimal() and time.time_ns() - int(renamed_ns) > LEFT_SECONDS * 1e9:
                shutil.rmtree(doomed, ignore_errors=True)
    if removed:
        _log.info("%d files of writes that were killed are removed.", removed)
    return removed

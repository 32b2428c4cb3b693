"""The process that decodes what a user names: series and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.prepared.sandboxed_masks import write_mask
from core.prepared.sandboxed_series import fill_store
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers
from core.types import Progress


def confined_reader(limits: Limits, lanes: int = 1) -> ConfinedWorkers:
    """Give workers for `read_confined` and `read_mask_confined`; each starts with its first call.

    Args:
        limits: Limits for reading one series or mask.
        lanes: Number of calls at the same time.
    """
    return ConfinedWorkers(read_file, limits, lanes)


def read_file(request: Mapping[str, Any], progress: Progress) -> None:
    """Do what a request asks for: the task of the workers."""
    (fill_store if request["what"] == "series" else write_mask)(request, progress)

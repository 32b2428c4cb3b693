"""The process that decodes what a user names: series, slices and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.prepared.sandboxed_masks import write_mask
from core.prepared.sandboxed_series import fill_store, write_slice
from core.system.process_limits import Limits
from core.system.sandbox import ConfinedWorkers, Task
from core.types import Progress

_TASKS: Final[dict[str, Task]] = {"series": fill_store, "slice": write_slice, "mask": write_mask}


def confined_reader(limits: Limits, lanes: int = 1) -> ConfinedWorkers:
    """Give workers for the functions named `…_confined`; each starts with its first call.

    Args:
        limits: Limits for reading one of them.
        lanes: Number of calls at the same time.
    """
    return ConfinedWorkers(read_file, limits, lanes)


def read_file(request: Mapping[str, Any], progress: Progress) -> None:
    """Do what a request asks for: the task of the workers."""
    _TASKS[request["what"]](request, progress)

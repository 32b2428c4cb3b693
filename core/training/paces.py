"""Training speeds of networks measured on this machine, in a file read without torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from core.system.atomic_files import write_json
from core.training.schedule import Pace

FILE: Final = "paces.json"
KEPT: Final = 50


def read_paces(folder: Path) -> list[Pace]:
    """Read the saved paces, the latest first; none if the file is missing or damaged."""
    try:
        return [Pace(**entry) for entry in json.loads((folder / FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return []


def keep_pace(folder: Path, pace: Pace) -> None:
    """Save a pace as the latest, replacing one of the same network, size and precision.

    Raises:
        StorageError: The file cannot be written.
    """
    others = [known for known in read_paces(folder) if _what(known) != _what(pace)]
    write_json(folder / FILE, [asdict(known) for known in [pace, *others][:KEPT]])


def _what(pace: Pace) -> tuple[str, int, str]:
    return pace.backbone, pace.size, pace.precision

"""Measured paces of networks, kept in a file of this machine; read without torch."""

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
    """The paces kept in a folder, the latest first; none where the file is missing or broken."""
    try:
        return [Pace(**entry) for entry in json.loads((folder / FILE).read_text())]
    except (OSError, ValueError, TypeError):
        return []


def keep_pace(folder: Path, pace: Pace) -> None:
    """Put a pace before the others, in place of one of the same network, size and precision.

    Raises:
        StorageError: The file cannot be written.
    """
    others = [known for known in read_paces(folder) if _what(known) != _what(pace)]
    write_json(folder / FILE, [asdict(known) for known in [pace, *others][:KEPT]])


def _what(pace: Pace) -> tuple[str, int, str]:
    return pace.backbone, pace.size, pace.precision

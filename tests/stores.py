"""Stores for tests."""

from __future__ import annotations

from pathlib import Path

from core.types import Store


def made_store(folder: Path, *, limit_bytes: int = 1 << 40) -> Store:
    """A store in `folder` with room for everything unless a limit is named."""
    return Store(folder, limit_bytes, keep_free_bytes=0)

"""Writes that leave either the old file or the new one, never a broken one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import StorageError


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success fsync it and rename it over `target`.

    Raises:
        StorageError: The folder cannot be written or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
        )
    except OSError as error:
        raise _storage_error(target, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    except OSError as error:
        raise _storage_error(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(target: Path, payload: bytes) -> None:
    """Write `payload` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(payload)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` atomically."""
    write_bytes(target, text.encode())


def write_json(target: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write `value` as indented JSON to `target` atomically.

    Raises:
        ValueError: `value` holds NaN or infinity, which JSON has no word for.
    """
    write_text(target, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _storage_error(target: Path, error: OSError) -> StorageError:
    reason = error.strerror or "the write failed"
    return StorageError(
        f"Cannot write {target}: {reason}; free some space or choose a folder you can write to."
    )

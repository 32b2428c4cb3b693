"""Writes that leave either the old file or the new one, never a broken one.

A process that is killed while it writes leaves a hidden file behind. The operating system releases
its lock on that file: by the lock and the file's age `sweep_leftovers` recognises abandoned files.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from core.errors import StorageError

if sys.platform != "win32":  # There, a file that is being written cannot be removed anyway.
    import fcntl

LEFT_SECONDS: Final = 600.0
"""A file untouched for so long is a leftover, unless it is locked; writes take seconds."""
_TEMPORARY: Final = re.compile(r"\.(?P<target>.+)\.[a-z0-9_]{8}(?P<suffix>\.[^.]*)?")


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to `target`; on success fsync it and rename it over `target`.

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
    handle = _claim(handle)
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
        if handle is not None:
            os.close(handle)


def sweep_leftovers(folder: Path, *, older_than_s: float = LEFT_SECONDS) -> int:
    """Remove the temporary files of writes that were killed, in a folder and all below it.

    Args:
        folder: Folder that only this program writes to; it need not exist. Links are not followed.
        older_than_s: Minimum age; a write locks its file a moment after making it.

    Returns:
        Number of files removed.
    """
    removed = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if is_temporary(name) and _is_left(Path(place, name), older_than_s):
                with contextlib.suppress(OSError):
                    Path(place, name).unlink()
                    removed += 1
    return removed


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that `atomic_path` yields."""
    found = _TEMPORARY.fullmatch(name)
    return found is not None and Path(found["target"]).suffix == (found["suffix"] or "")


def _claim(handle: int) -> int | None:
    """Lock a new file while it is open; close it and return None where locking is unsupported."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
    os.close(handle)
    return None


def _is_left(path: Path, older_than_s: float) -> bool:
    """Whether a temporary file was abandoned by its writer."""
    try:
        if time.time() - path.lstat().st_mtime < older_than_s:
            return False
        # Opened without following links and without waiting: only our own files are looked at.
        flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, os.O_RDONLY | flags)
    except OSError:
        return False
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def write_bytes(target: Path, payload: bytes) -> None:
    """Write `payload` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(payload)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` atomically."""
    write_bytes(target, text.encode())


def keep_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` as `write_text` does, unless `target` already holds exactly this text.

    An unchanged file keeps its time stamp, so that nothing derived from it counts as outdated.
    """
    try:
        unchanged = target.read_bytes() == text.encode()
    except OSError:
        unchanged = False
    if not unchanged:
        write_text(target, text)


def write_json(target: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write `value` as indented JSON to `target` atomically.

    Raises:
        ValueError: `value` holds NaN or infinity, which JSON cannot represent.
    """
    write_text(target, json.dumps(value, indent=2, allow_nan=False) + "\n")


def remedy_for(error: OSError, usual: str) -> str:
    """Choose the remedy for a file that could not be opened or written.

    Args:
        error: The failure.
        usual: Remedy for most such errors, a clause without a full stop.

    Returns:
        `usual`, except where this process has reached its limit of open files.
    """
    if error.errno == errno.EMFILE:
        return "raise the limit of open files (`ulimit -n`) above the number of studies"
    return usual


def _storage_error(target: Path, error: OSError) -> StorageError:
    reason = error.strerror or "the write failed"
    remedy = remedy_for(error, "free some space or choose a folder you can write to")
    return StorageError(f"Cannot write {target}: {reason}; {remedy}.")

"""Writes that leave either the old file or the new one, never a broken one.

A process that is killed while it writes leaves a hidden file behind. The operating system releases
its lock on that file: by the lock and the file's age `sweep_leftovers` recognises abandoned files.
The umask decides who may read what is written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import sys
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
    """Yield a temporary file next to `target`; on success rename it over `target`, durably.

    Raises:
        StorageError: The folder cannot be written or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, handle = _new_file(target)
    except OSError as error:
        raise _storage_error(target, error) from error
    handle = _claim(handle)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        move_into_place(temporary, target)
    except OSError as error:
        raise _storage_error(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


def move_into_place(source: Path, target: Path) -> None:
    """Rename a file or folder, and wait until the new name is on the disk.

    Args:
        source: What is renamed; its content is already on the disk.
        target: Its new name on the same file system; a file or an empty folder there is replaced.

    Raises:
        OSError: It cannot be renamed, or the disk fails.
    """
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk; nothing where that cannot be asked for.

    Raises:
        OSError: The disk fails.
    """
    if sys.platform == "win32":  # There, folders cannot be opened.
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # A folder may be written without being readable.
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def temporary_folder(parent: Path, prefix: str) -> Path:
    """Make a new folder in `parent` that those may read whom the umask allows.

    Args:
        parent: An existing folder.
        prefix: Beginning of its name; eight characters follow.

    Raises:
        OSError: It cannot be made.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(4)}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder


@contextlib.contextmanager
def hidden_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new hidden folder in `parent`; what is left of it afterwards is removed.

    Args:
        parent: Folder, made if missing.
        name: Part of the folder's name.

    Raises:
        OSError: It cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = _hidden(parent / name)
    folder.mkdir()
    handle = None if sys.platform == "win32" else _claim(os.open(folder, os.O_RDONLY))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _hidden(target: Path) -> Path:
    """A new name next to `target` that `is_temporary` recognises."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}{target.suffix}")


def _new_file(target: Path) -> tuple[Path, int]:
    """Make a hidden file next to `target`; return its path and descriptor."""
    while True:
        path = _hidden(target)
        with contextlib.suppress(FileExistsError):
            # Made with this mode, the umask applies; read from the process, it could be changed by
            # another thread in between.
            return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def sweep_leftovers(folder: Path, *, older_than_s: float = LEFT_SECONDS) -> int:
    """Remove the temporary files and folders of killed writes, in a folder and all below it.

    Args:
        folder: Folder that only this program writes to; it need not exist. Links are not followed.
        older_than_s: Minimum age; a write locks its file a moment after making it.

    Returns:
        Number of files and folders removed.
    """
    removed = 0
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            if is_temporary(name) and _is_left(Path(place, name), older_than_s):
                with contextlib.suppress(OSError):
                    _remove(Path(place, name))
                    removed += 1
    return removed


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is one that this module makes for a while."""
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

"""Keys of store entries: digests of the data and of the way it is prepared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from core.errors import DataRootError, DicomSeriesError
from core.system.atomic_files import write_text
from core.system.file_tree import files_below, path_below

STORE_VERSION: Final = 3
"""Part of every key: increase it when the meaning of prepared pixels or presences changes."""

_DIGEST_LENGTH: Final = 64


def entry_key(content: Mapping[str, Any]) -> str:
    """Name of an entry: SHA-256 (64 hex digits) of everything that determines its content."""
    described = {"version": STORE_VERSION} | dict(content)
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def remembered_digest(path: Path, digest: Callable[[Path], str], cache_dir: Path) -> str:
    """Content hash of a file or folder, computed again only if a name, size or time changed.

    Hashing RSNA's 350 GiB at the start of every run would take longer than many runs.

    Raises:
        DataRootError: `path` cannot be read.
    """
    try:
        if path.is_dir():
            listing = [_state(file, path) for file in files_below(path)]
        else:
            status = path.stat()
            listing = [(path.name, status.st_size, status.st_mtime_ns)]
    except OSError as error:
        raise DataRootError(
            f"{path} cannot be read; check that it is there and readable."
        ) from error
    state = json.dumps([digest.__name__, str(path.resolve()), listing])
    memo = cache_dir / "digests" / hashlib.sha256(state.encode()).hexdigest()
    if memo.is_file() and len(remembered := memo.read_text()) == _DIGEST_LENGTH:
        return remembered
    computed = digest(path)
    write_text(memo, computed)
    return computed


def file_digest(path: Path) -> str:
    """SHA-256 of one file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def named_folder_digest(folder: Path) -> str:
    """SHA-256 of the paths and contents of the files below `folder`, 64 hex digits.

    Unlike `fingerprint_folder` it changes when a file is renamed, so that an entry may store names.

    Raises:
        DicomSeriesError: The folder cannot be read.
    """
    digests = [f"{digest} {path_below(path, folder)}" for path, digest in _file_digests(folder)]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def fingerprint_folder(folder: Path) -> str:
    """SHA-256 (64 hex digits) of the contents of the files below `folder`.

    Renaming, touching or copying the files does not change it. Hidden files are ignored, as
    `read_series` ignores them.

    Raises:
        DicomSeriesError: The folder cannot be read.
    """
    digests = sorted(bytes.fromhex(digest) for _, digest in _file_digests(folder))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def folder_state(folder: Path) -> list[tuple[str, int, int]]:
    """Path below `folder`, size and time of change of its files: new once one is replaced.

    Raises:
        DicomSeriesError: The folder cannot be read.
    """
    return [_state(path, folder) for path in _files(folder)]


def _state(path: Path, folder: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return path_below(path, folder), -1, -1
    return path_below(path, folder), status.st_size, status.st_mtime_ns


def _files(folder: Path) -> list[Path]:
    try:
        return files_below(folder)
    except OSError as error:
        raise DicomSeriesError(
            folder, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def _file_digests(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder with their digests; one that cannot be read counts as such."""
    for path in _files(folder):
        try:
            yield path, file_digest(path)
        except OSError as error:
            yield path, hashlib.sha256(f"unreadable {error.errno}".encode()).hexdigest()

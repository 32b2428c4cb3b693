"""Keys of store entries: digests of the data and of the way it is prepared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Walk:
    """What one walk over a data root has found: all digests, and the files of the last folder."""

    digests: dict[str, str]
    folder: Path | None = None
    listing: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])


_walk: ContextVar[_Walk | None] = ContextVar("walk", default=None)


@contextmanager
def one_walk(known: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Look at every folder once, however many of its digests are asked for within the block.

    At the start of a run over RSNA's 711,601 files, looking at them takes longer than all else. A
    change of the files during the block goes unnoticed.

    Args:
        known: Digests of another process, for which nothing is looked at.

    Yields:
        Digests asked for so far, to be handed to other processes.
    """
    walk = _Walk(dict(known or {}))
    token = _walk.set(walk)
    try:
        yield walk.digests
    finally:
        _walk.reset(token)


def remembered_digest(path: Path, digest: Callable[[Path], str], cache_dir: Path) -> str:
    """Content hash of a file or folder, computed again only if a name, size or time changed.

    Hashing RSNA's 350 GiB at the start of every run would take longer than many runs.

    Raises:
        DataRootError: `path` cannot be read.
    """
    walk = _walk.get()
    name = f"{digest.__name__} {path}"
    if walk is None:
        return _remembered(path, digest, cache_dir, _listing(path))
    if name not in walk.digests:
        if walk.folder != path:
            walk.folder, walk.listing = path, _listing(path)
        walk.digests[name] = _remembered(path, digest, cache_dir, walk.listing)
    return walk.digests[name]


def _remembered(
    path: Path, digest: Callable[[Path], str], cache_dir: Path, listing: list[tuple[str, int, int]]
) -> str:
    state = json.dumps([digest.__name__, str(path.resolve()), listing])
    memo = cache_dir / "digests" / hashlib.sha256(state.encode()).hexdigest()
    if memo.is_file() and len(remembered := memo.read_text()) == _DIGEST_LENGTH:
        return remembered
    computed = digest(path)
    write_text(memo, computed)
    return computed


def _listing(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of the files below a folder."""
    try:
        if path.is_dir():
            return [_state(file, path) for file in files_below(path)]
        status = path.stat()
    except OSError as error:
        raise DataRootError(
            f"{path} cannot be read; check that it is there and readable."
        ) from error
    return [(path.name, status.st_size, status.st_mtime_ns)]


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

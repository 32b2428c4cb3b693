"""Keys of store entries: digests of the data and of the way it is prepared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from core.errors import DataRootError, DicomSeriesError
from core.system.atomic_files import write_text

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
        listing = file_states(path.iterdir() if path.is_dir() else [path])
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


def file_states(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Name, size in bytes and time of change in ns of each file, by name.

    Raises:
        OSError: A file is gone.
    """
    states = [(file.name, file.stat()) for file in files]
    return sorted((name, status.st_size, status.st_mtime_ns) for name, status in states)


def file_digest(path: Path) -> str:
    """SHA-256 of one file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def named_folder_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of the files in `folder`, 64 hex digits.

    Unlike `fingerprint_folder` it changes when a file is renamed, so that an entry may store names.

    Raises:
        DicomSeriesError: The folder or one of its files cannot be read.
    """
    digests = [f"{digest} {name}" for name, digest in sorted(_digests(folder).items())]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def fingerprint_folder(folder: Path) -> str:
    """SHA-256 (64 hex digits) of the contents of the files in `folder`.

    Renaming, touching or copying the files does not change it. Hidden files and sub-folders are
    ignored, as `read_series` ignores them.

    Raises:
        DicomSeriesError: The folder or one of its files cannot be read.
    """
    digests = sorted(bytes.fromhex(digest) for digest in _digests(folder).values())
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    """`file_digest` of the visible files in a folder by their names."""
    try:
        return {
            path.name: file_digest(path)
            for path in folder.iterdir()
            if path.is_file() and not path.name.startswith(".")
        }
    except OSError as error:
        raise DicomSeriesError(
            folder, f"cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error

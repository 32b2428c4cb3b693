"""Entries of the store under `RSNA_CACHE`: folders of memory-mapped arrays, built once.

An entry is the folder `<cache>/<kind>/<first two digits of its key>/<key>/` with one `.npy` per
array, an `entry.json` that lists its arrays, and the empty file `used`, whose time is that of the
last access. Processes on one or several machines may share a store: whoever builds holds the lock
of the entry's two digits, and entries are put in place and removed under the store's own lock.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from core.cache.eviction import (
    BUILDING,
    ENTRY_FILE,
    discard,
    entry_bytes,
    locked,
    make_room,
    sweep,
    touch,
)
from core.errors import StorageError
from core.system.atomic_files import move_into_place, remedy_for, temporary_folder
from core.system.disk_space import check_space
from core.types import Store

Arrays = Mapping[str, NDArray[Any]]
Build = Callable[[], tuple[Arrays, Mapping[str, Any]]]
"""Builds an entry's arrays and its JSON values."""

_STORE_LOCK: Final = "store"
_OPEN_FILES: Final = 65_536
_DAMAGE: Final = (ValueError, KeyError, TypeError, EOFError, OverflowError, SyntaxError, TokenError)
"""Errors that reading a damaged header can raise."""


@dataclass(frozen=True, slots=True, eq=False)
class CacheEntry:
    """An open entry.

    Attributes:
        arrays: Arrays by name; memory-mapped and read-only.
        values: JSON values stored with them.
        bytes: Size on disk.
        built: Whether this call built it.
    """

    arrays: Arrays
    values: Mapping[str, Any]
    bytes: int
    built: bool


def fetch_entry(store: Store, kind: str, key: str, build: Build) -> CacheEntry:
    """Open an entry of the store; build it first if it is missing or damaged.

    Several callers that miss the same entry at once build it once. An open entry stays readable
    when it is evicted.

    Args:
        store: The store.
        kind: One of `core.cache.eviction.KINDS`.
        key: The entry's name, from `core.cache.keys.entry_key`.
        build: Called while the lock is held; its errors pass through.

    Raises:
        StorageError: The store cannot be written, or the entry cannot be read back.
    """
    entry = store.folder / kind / key[:2] / key
    found = _open(entry)
    if found is not None:
        return found
    with _locked_for_writing(store.folder, f"{kind}-{key[:2]}"):
        found = _open(entry)
        if found is not None:
            return found
        arrays, values = build()
        try:
            return _put_in_place(store, entry, arrays, values)
        except OSError as error:
            raise _cannot_write(entry.parent, error) from error


def _open(entry: Path) -> CacheEntry | None:
    """Memory-map an entry and note the access; None if it is missing or damaged."""
    try:
        content = json.loads((entry / ENTRY_FILE).read_text())
        arrays = {name: _map(entry / f"{name}.npy", *form) for name, form in content["arrays"]}
        values, size = dict(content["values"]), entry_bytes(entry)
    except (FileNotFoundError, NotADirectoryError, *_DAMAGE):
        return None
    except OSError as error:
        remedy = remedy_for(error, "check its permissions and the disk, or delete that folder")
        raise StorageError(
            f"{entry} cannot be read: {error.strerror or 'the read failed'}; {remedy}."
        ) from error
    touch(entry)
    return CacheEntry(arrays, values, size, built=False)


def _map(path: Path, dtype: str, shape: list[int]) -> NDArray[Any]:
    """Memory-map one array read-only.

    Raises:
        ValueError: It is not the array that the entry names.
    """
    _allow_more_open_files()
    array = open_memmap(path, mode="r")
    if array.dtype.str != dtype or list(array.shape) != shape:
        raise ValueError(f"{path.name} is not the array of its entry.")
    return array


@functools.cache
def _allow_more_open_files() -> None:
    """Raise this process's limit of open files, once, as far as it may.

    Each mapped array keeps a file open, and the usual 1,024 are too few for RSNA's 2,019 studies.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _put_in_place(
    store: Store, entry: Path, arrays: Arrays, values: Mapping[str, Any]
) -> CacheEntry:
    """Write the entry under a temporary name, make room, and rename it."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    # The caller holds these digits' lock, so any unfinished entry here was abandoned.
    sweep(entry.parent)
    needed = sum(array.nbytes for array in arrays.values())
    check_space(entry.parent, needed, store.keep_free_bytes)
    temporary = temporary_folder(entry.parent, BUILDING)
    try:
        _write(temporary, arrays, values)
        with _locked_for_writing(store.folder, _STORE_LOCK):
            discard(entry)
            make_room(store, needed=entry_bytes(temporary))
            move_into_place(temporary, entry)
            # Opened under the lock, it cannot be evicted before it is held.
            opened = _open(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if opened is None:
        raise StorageError(f"{entry} cannot be read back; check the disk, or delete that folder.")
    return CacheEntry(opened.arrays, opened.values, opened.bytes, built=True)


def _write(folder: Path, arrays: Arrays, values: Mapping[str, Any]) -> None:
    forms = [[name, [array.dtype.str, list(array.shape)]] for name, array in arrays.items()]
    content = json.dumps({"arrays": forms, "values": values}, allow_nan=False).encode()
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
    with (folder / ENTRY_FILE).open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    touch(folder)


@contextlib.contextmanager
def _locked_for_writing(cache_dir: Path, name: str) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(cache_dir, name))
        except OSError as error:
            raise _cannot_write(cache_dir, error) from error
        yield


def _cannot_write(folder: Path, error: OSError) -> StorageError:
    remedy = remedy_for(error, "free some space or set RSNA_CACHE to a folder you can write to")
    reason = error.strerror or "the write failed"
    return StorageError(f"Cannot write the slice store in {folder}: {reason}; {remedy}.")

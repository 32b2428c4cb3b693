"""Keep the store within its size limit: the least recently used entries are removed first."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from core.system.atomic_files import write_text
from core.types import Store

KINDS: Final = ("slices", "volumes", "presence")
"""Folders of entries: prepared slices, viewer volumes, presences from a vertebra bundle."""
ENTRY_FILE: Final = "entry.json"
BUILDING: Final = ".building-"
_EVICTED: Final = ".evicted-"
_USED: Final = "used"
_LEDGER: Final = "store.bytes"
_LOW_WATER: Final = 0.9
"""Eviction continues down to this share of the limit, so that not every new entry causes one."""
_POLL_S: Final = 0.01


@contextlib.contextmanager
def locked(cache_dir: Path, name: str, *, wait: bool = True) -> Iterator[None]:
    """Hold one of the store's locks; the operating system releases it if the process dies.

    Raises:
        OSError: The lock's file cannot be made.
        Timeout: Another process holds it, and `wait` is False.
    """
    folder = cache_dir / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / name)
    lock.acquire(timeout=-1 if wait else 0, poll_interval=_POLL_S)
    try:
        yield
    finally:
        lock.release()


def touch(entry: Path) -> None:
    """Record that an entry is used now, unless the store is read-only."""
    now = time.time_ns()
    stamp = entry / _USED
    with contextlib.suppress(OSError):
        if not stamp.exists():
            stamp.touch()
        # The kernel's own stamps advance in steps of some milliseconds.
        os.utime(stamp, ns=(now, now))


def entry_bytes(entry: Path) -> int:
    """Size of an entry's files."""
    return sum(file.stat().st_size for file in entry.iterdir())


def used_bytes(cache_dir: Path) -> int:
    """Size of the store below a cache folder as it was last recorded; 0 before the first entry."""
    return _read_ledger(cache_dir / _LEDGER) or 0


def make_room(store: Store, *, needed: int) -> None:
    """Evict entries until `needed` more bytes fit, and record the resulting size of the store.

    Call it under the store's lock. An entry larger than the whole limit empties the store and is
    kept nevertheless.

    The ledger avoids a walk over the whole store at each entry. It is written before the entry is
    renamed into place, so that a process killed in between leaves it too high, never too low; a
    walk corrects it as soon as the limit seems reached.
    """
    ledger = store.folder / _LEDGER
    used = _read_ledger(ledger)
    if used is None or used + needed > store.limit_bytes:
        used = _evict(store, needed)
    write_text(ledger, str(used + needed))


def discard(entry: Path) -> None:
    """Remove an entry: rename it away first, then delete its files.

    If it cannot be renamed, as on Windows while a process has it mapped, it stays.
    """
    if not entry.exists():
        return
    grave = Path(tempfile.mkdtemp(dir=entry.parent, prefix=_EVICTED))
    with contextlib.suppress(OSError):
        entry.rename(grave / entry.name)
    shutil.rmtree(grave, ignore_errors=True)


def sweep(shard: Path) -> None:
    """Remove leftovers of killed processes; call it under the lock of the folder's digits."""
    for pattern in (f"{BUILDING}*", f"{_EVICTED}*"):
        for leftover in shard.glob(pattern):
            shutil.rmtree(leftover, ignore_errors=True)


def _evict(store: Store, needed: int) -> int:
    """Remove entries, the least recently used first; return the size of the others in bytes."""
    sweep_all(store.folder)
    found = sorted(_entries(store.folder))
    used = sum(size for _, size, _ in found)
    if used + needed <= store.limit_bytes:
        return used
    for _, size, entry in found:
        discard(entry)
        if not entry.exists():
            used -= size
        if used + needed <= _LOW_WATER * store.limit_bytes:
            break
    return used


def _entries(cache_dir: Path) -> Iterator[tuple[int, int, Path]]:
    """Time of the last use in ns, size in bytes and folder of every entry."""
    for kind in KINDS:
        for entry in (cache_dir / kind).glob("[0-9a-f][0-9a-f]/*"):
            if entry.name.startswith("."):
                continue
            with contextlib.suppress(OSError):
                stamp = entry / _USED
                used_ns = stamp.stat().st_mtime_ns if stamp.exists() else 0
                yield used_ns, entry_bytes(entry), entry


def sweep_all(cache_dir: Path) -> None:
    """Remove leftovers of killed processes wherever nobody is building."""
    for kind in KINDS:
        for leftover in (cache_dir / kind).glob("[0-9a-f][0-9a-f]/.*"):
            lock = f"{kind}-{leftover.parent.name}"
            with contextlib.suppress(OSError, Timeout), locked(cache_dir, lock, wait=False):
                sweep(leftover.parent)


def _read_ledger(ledger: Path) -> int | None:
    try:
        return int(ledger.read_text())
    except (OSError, ValueError):
        return None

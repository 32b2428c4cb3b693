"""Room on the disk, asked for before something large is written."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Final

from core.errors import StorageError

_GIB: Final = 1 << 30


def check_space(folder: Path, needed: int, keep_free: int) -> None:
    """See that a folder's disk takes `needed` bytes and keeps some free.

    A full disk breaks everything on the machine, not this program alone; so it stops before.

    Args:
        folder: Where to write; it need not exist yet.
        needed: Bytes to be written.
        keep_free: Bytes that stay free (MIN_FREE_GIB).

    Raises:
        StorageError: There is too little room.
    """
    place = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        # A place that cannot be asked may still take the file; the write says so if not.
        return
    if free - needed < keep_free:
        raise StorageError(
            f"{folder} needs {needed / _GIB:.2f} GiB, but its disk has {free / _GIB:.2f} GiB free "
            f"and keeps {keep_free / _GIB:g} GiB of that (MIN_FREE_GIB); free some space."
        )


def check_quota(folder: Path, needed: int, quota_gib: float) -> None:
    """See that the uploads of all sessions stay within their quota.

    Args:
        folder: Holds them all.
        needed: Bytes to be added.
        quota_gib: What they may take together (UPLOAD_QUOTA_GIB).

    Raises:
        StorageError: They would not.
    """
    used = tree_bytes(folder)
    if used + needed > quota_gib * _GIB:
        raise StorageError(
            f"The uploads of all sessions take {used / _GIB:.2f} of {quota_gib:g} GiB "
            f"(UPLOAD_QUOTA_GIB) and this one needs {needed / _GIB:.2f} GiB; try again when others "
            "have closed theirs."
        )


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    total = 0
    for path in folder.rglob("*"):
        # Another session may remove its files meanwhile.
        with contextlib.suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total
